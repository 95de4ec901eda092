from itertools import pairwise

import pytest

from delivery_service.model.pacing import SLACK, Gate, Pace


def sent_at(pace: Pace, seconds: float, *, late: float = 0.0) -> list[float]:
    """Return when a sender that always has something sends, waking up late each time."""
    now, sent = 0.0, []
    while now < seconds:
        wait = pace.wait(now)
        if wait > 0:
            now += wait + late
            continue
        pace.take(now)
        sent.append(now)
    return [at for at in sent if at < seconds]


@pytest.mark.parametrize("rate", [1, 10, 333])
@pytest.mark.parametrize("late", [0.0, 0.02])
def test_a_rate_is_met_exactly_over_a_minute(rate: int, late: float) -> None:
    assert len(sent_at(Pace(rate, now=0), 60, late=late)) == pytest.approx(60 * rate, abs=1 + SLACK * rate)


def test_ten_a_second_go_a_tenth_of_a_second_apart() -> None:
    gaps = [later - earlier for earlier, later in pairwise(sent_at(Pace(10, now=0), 5))]

    assert gaps == pytest.approx([0.1] * len(gaps))


def test_after_a_pause_no_more_than_the_slack_goes_at_once() -> None:
    pace = Pace(10, now=0)
    pace.take(0)
    burst = 0
    while pace.wait(3_600) == 0:
        pace.take(3_600)
        burst += 1

    assert burst == 3


def test_a_new_owner_has_saved_nothing_up() -> None:
    pace = Pace(10, now=100)
    pace.take(100)

    assert pace.wait(100) == pytest.approx(0.1)


def test_only_so_many_are_in_flight() -> None:
    gate = Gate(2)
    gate.began(0)
    gate.began(0)
    assert gate.free == 0

    gate.ended(succeeded=False)

    assert gate.free == 1


def test_after_a_slow_start_each_success_lets_one_more_be_in_flight() -> None:
    gate = Gate(5)
    gate.start_slowly()
    widths = []
    for _ in range(4):
        width = gate.free
        widths.append(width)
        for _ in range(width):
            gate.began(0)
        for _ in range(width):
            gate.ended(succeeded=True)

    assert widths == [1, 2, 4, 5]


def test_failures_do_not_widen_a_slow_start() -> None:
    gate = Gate(5)
    gate.start_slowly()
    gate.began(0)
    gate.ended(succeeded=False)

    assert gate.free == 1


def test_what_is_held_waits_whatever_the_pace_says() -> None:
    gate = Gate(5, Pace(1_000, now=0))
    gate.hold(10)
    gate.hold(5)

    assert gate.wait(0) == 10
    assert gate.wait(10) == 0


def test_changed_settings_count_at_once() -> None:
    gate = Gate(5)
    gate.began(0)
    gate.renew(1, Pace(10, now=0))
    assert gate.free == 0

    gate.renew(20, None)

    assert gate.free == 19
    assert gate.wait(0) == 0
