import threading
from pathlib import Path

import pytest

from service_chassis.database.mutex import FairMutex, writer_mutex
from service_chassis.testing.waiting import wait_until


def test_one_is_inside_at_a_time() -> None:
    mutex = FairMutex()
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with mutex:
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert most == 1


def test_who_waits_longest_comes_next() -> None:
    mutex = FairMutex()
    order: list[int] = []

    def enter(number: int) -> None:
        with mutex:
            order.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(20)]
    with mutex:
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(lambda: len(mutex._waiting) == number + 1)  # noqa: B023  # waited for in this turn
    for thread in threads:
        thread.join(10)

    assert order == list(range(20))


def test_who_comes_again_at_once_lets_those_who_wait_go_first() -> None:
    mutex = FairMutex()
    order: list[str] = []

    def enter() -> None:
        with mutex:
            order.append("other")

    thread = threading.Thread(target=enter)
    with mutex:
        thread.start()
        wait_until(lambda: mutex._waiting)
    with mutex:
        order.append("again")
    thread.join(10)

    assert order == ["other", "again"]


def test_an_error_inside_lets_the_next_one_in() -> None:
    mutex = FairMutex()

    try:
        with mutex:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass

    with mutex:
        assert mutex._held


def test_a_thread_that_would_wait_for_itself_is_told_so() -> None:
    mutex = FairMutex()

    with mutex, pytest.raises(RuntimeError, match="wait for itself"), mutex:
        pass

    with mutex:
        pass


def test_a_file_has_one_mutex_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    direct, around = tmp_path / "a.db", tmp_path / "folder" / ".." / "a.db"

    assert writer_mutex(direct) is writer_mutex(around)
    assert writer_mutex(direct) is not writer_mutex(tmp_path / "b.db")
