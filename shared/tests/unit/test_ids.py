import time
from uuid import RFC_4122

from service_chassis.ids import Ids, uuid7


def test_an_id_is_a_uuid_of_version_7() -> None:
    for _ in range(100):
        made = uuid7()
        assert (made.version, made.variant) == (7, RFC_4122)


def test_an_id_begins_with_the_millisecond_it_was_made_in() -> None:
    before = time.time_ns() // 1_000_000

    made = Ids().make()

    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_later_milliseconds_sort_after_earlier_ones() -> None:
    times = iter(milliseconds * 1_000_000 for milliseconds in (0, 1, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1))
    ids = Ids(lambda: next(times))

    made = [ids.make() for _ in range(5)]

    assert made == sorted(made)
    assert [str(one) for one in made] == sorted(str(one) for one in made)


def test_ids_of_one_moment_differ_and_sort_in_the_order_they_were_made() -> None:
    ids = Ids(lambda: 1_700_000_000_000_000_000)

    made = [ids.make() for _ in range(10_000)]

    assert made == sorted(set(made))


def test_a_clock_that_goes_back_does_not_take_the_ids_with_it() -> None:
    times = iter([2_000_000_000, 1_000_000_000])
    ids = Ids(lambda: next(times))

    assert ids.make() < ids.make()


def test_two_processes_that_make_an_id_at_the_same_moment_make_two() -> None:
    made = {Ids(lambda: 1_700_000_000_000_000_000).make() for _ in range(10_000)}

    assert len(made) == 10_000
