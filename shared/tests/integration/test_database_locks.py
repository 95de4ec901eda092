import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from service_chassis.database import Database
from service_chassis.database import wakeup as wakeup_module
from service_chassis.database.locks import Lock
from service_chassis.testing.outage import end_connections
from service_chassis.testing.plugin import only_postgresql
from service_chassis.testing.proxy import Proxy
from service_chassis.testing.waiting import wait_until

pytestmark = pytest.mark.serial

HOLDER = """
import sys
from service_chassis.database import Database

lock = Database(sys.argv[1]).lock("sample")
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(database: Database) -> Iterator[Callable[..., Lock]]:
    """Makes locks that are given up at the end."""
    made: list[Lock] = []

    def make(name: str = "sample", of: Database = database) -> Lock:
        made.append(of.lock(name))
        return made[-1]

    yield make
    for one in made:
        one.release()


class TestLocks:
    def test_a_lock_has_one_holder(self, lock: Callable[..., Lock]) -> None:
        first, second = lock(), lock()

        assert first.acquire()
        assert not second.acquire()
        assert first.acquire()

        first.release()
        wait_until(second.acquire)
        assert not first.acquire()

    def test_locks_of_different_names_do_not_know_each_other(self, lock: Callable[..., Lock]) -> None:
        assert lock("sample").acquire()
        assert lock("other").acquire()

    def test_giving_up_a_lock_twice_or_without_having_it_is_harmless(self, lock: Callable[..., Lock]) -> None:
        holder, other = lock(), lock()
        holder.acquire()

        other.acquire()
        other.release()
        other.release()

        assert not lock().acquire()

    def test_a_lock_is_free_when_its_holder_was_killed(self, database_url: str, lock: Callable[..., Lock]) -> None:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            ours = lock()
            assert not ours.acquire()

            holder.kill()

            wait_until(ours.acquire)

    @only_postgresql
    def test_a_holder_whose_connection_ended_knows_it_at_the_next_try(
        self, database_url: str, lock: Callable[..., Lock]
    ) -> None:
        holder, other = lock(), lock()
        assert holder.acquire()

        end_connections(database_url)

        wait_until(other.acquire)
        assert not holder.acquire()
        assert not holder.acquire()
        other.release()
        wait_until(holder.acquire)

    @only_postgresql
    def test_a_lock_that_cannot_be_asked_for_is_not_held(self, database_url: str, lock: Callable[..., Lock]) -> None:
        with Proxy(database_url) as proxy, closing(Database(proxy.url)) as distant:
            ours = lock(of=distant)
            assert ours.acquire()
            proxy.cut()

            assert not ours.acquire()

            proxy.restore()
            wait_until(ours.acquire)


class TestWakingUp:
    @pytest.fixture
    def woken(self, database: Database) -> Iterator[Callable[[], int]]:
        """Counts how often somebody who waits with the database was woken."""
        times = 0
        end = threading.Event()

        def wait() -> None:
            nonlocal times
            while not end.is_set():
                database.wakeup.wait(60)
                times += 1

        thread = threading.Thread(target=wait)
        thread.start()
        yield lambda: times
        end.set()
        database.wakeup.signal()
        thread.join(10)
        assert not thread.is_alive()

    def test_a_signal_ends_the_wait(self, database: Database, woken: Callable[[], int]) -> None:
        before = 0
        for _ in range(3):
            before = woken()
            database.wakeup.signal()
            wait_until(lambda: woken() > before)  # noqa: B023  # waited for in this turn

    @only_postgresql
    def test_a_signal_from_another_process_ends_the_wait(self, database_url: str, woken: Callable[[], int]) -> None:
        with closing(Database(database_url)) as other:
            wait_until(woken)
            before = woken()

            other.wakeup.signal()

            wait_until(lambda: woken() > before)

    @only_postgresql
    def test_waiting_and_signalling_go_on_after_the_connections_ended(
        self, database: Database, database_url: str, woken: Callable[[], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wakeup_module, "RECONNECT_AFTER", 0.05)
        wait_until(lambda: database.wakeup.signal() or woken() > 1)

        end_connections(database_url)

        before = woken()
        wait_until(lambda: database.wakeup.signal() or woken() > before + 2)

    def test_a_wait_ends_by_itself(self, database: Database) -> None:
        database.wakeup.wait(0.01)
        database.wakeup.wait(0.01)

    def test_closing_ends_the_wait(self, database_url: str) -> None:
        database = Database(database_url)
        database.wakeup.wait(0.01)
        waiting = threading.Thread(target=database.wakeup.wait, args=(60,))
        waiting.start()

        database.close()

        waiting.join(10)
        assert not waiting.is_alive()
