import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import insert

from service_chassis import correlation
from service_chassis import scheduler as scheduler_module
from service_chassis.database import Database, TransactionConflict
from service_chassis.errors import Unavailable
from service_chassis.ids import uuid7
from service_chassis.scheduler import Job, Scheduler, every
from service_chassis.testing.conformance.backbone import Backbone
from service_chassis.testing.conformance.sample import effects
from service_chassis.testing.plugin import any_broker, any_database, only_postgresql
from service_chassis.testing.proxy import Proxy
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import UnitOfWork

pytestmark = any_broker

OFTEN = timedelta(milliseconds=1)
ONCE = timedelta(days=1)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "LOOK_EVERY", 0.01)


def scheduler(backbone: Backbone, *jobs: Job, database: Database | None = None) -> Scheduler:
    lock = (database or backbone.database).lock("scheduler")
    return Scheduler(jobs, lock, log=backbone.log, metrics=backbone.metrics, stop=threading.Event())


@contextmanager
def running(scheduler: Scheduler, tick: Callable[[], None] = lambda: None) -> Iterator[None]:
    thread = threading.Thread(target=scheduler.run, args=(tick,))
    thread.start()
    try:
        yield
    finally:
        scheduler._stop.set()
        thread.join(10)
        assert not thread.is_alive()


@any_database
class TestJobs:
    def test_a_job_runs_at_once_and_then_when_its_interval_is_over(self, backbone: Backbone) -> None:
        runs: Counter[str] = Counter()
        often = Job("often", OFTEN, lambda: runs.update(["often"]))
        once = Job("once", ONCE, lambda: runs.update(["once"]))

        with running(scheduler(backbone, often, once)):
            wait_until(lambda: runs["often"] > 5)

        assert runs["once"] == 1

    def test_a_job_with_more_to_do_runs_again_at_once(self, backbone: Backbone) -> None:
        left = [3, 2, 1]
        job = Job("draining", ONCE, lambda: bool(left and left.pop()))

        with running(scheduler(backbone, job)):
            wait_until(lambda: not left)

    def test_a_job_that_goes_on_does_so_under_the_same_correlation_id(self, backbone: Backbone) -> None:
        seen: list[str] = []

        def go_on() -> bool:
            ids = correlation.current()
            seen.append(ids.correlation_id if ids else "")
            return len(seen) % 3 != 0

        with running(scheduler(backbone, Job("going on", OFTEN, go_on))):
            wait_until(lambda: len(seen) >= 6)

        assert len(set(seen[:3])) == len(set(seen[3:6])) == 1
        assert seen[0] != seen[3]

    def test_a_job_that_somebody_was_in_the_way_of_runs_again_soon(
        self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scheduler_module, "AGAIN_AFTER", OFTEN)
        runs: Counter[str] = Counter()

        def conflict() -> None:
            runs.update(["conflicting"])
            raise TransactionConflict

        with running(scheduler(backbone, Job("conflicting", ONCE, conflict))):
            wait_until(lambda: runs["conflicting"] > 1)

    def test_a_failing_job_keeps_neither_itself_nor_others_from_running(self, backbone: Backbone) -> None:
        runs: Counter[str] = Counter()

        def fail() -> None:
            runs.update(["failing"])
            raise ZeroDivisionError

        def wait() -> None:
            runs.update(["waiting"])
            raise Unavailable("The database is away.")

        jobs = [
            Job("failing", OFTEN, fail),
            Job("waiting", OFTEN, wait),
            Job("good", OFTEN, lambda: runs.update(["good"])),
        ]

        with running(scheduler(backbone, *jobs)):
            wait_until(lambda: all(runs[name] > 1 for name in ("failing", "waiting", "good")))

        assert backbone.lines("job_failed")[0]["job"] == "failing"
        assert "ZeroDivisionError" in backbone.lines("job_failed")[0]["exception"]
        assert backbone.lines("job_postponed")[0]["error"] == "The database is away."

    def test_a_job_of_the_unit_of_work_commits_and_rolls_back_by_itself(self, backbone: Backbone) -> None:
        seen = []

        def settle(uow: UnitOfWork) -> bool:
            """Have an effect, fail at the second attempt, and end with the third."""
            seen.append(correlation.current())
            uow.session.execute(insert(effects).values(event_id=uuid7(), account=f"run {len(seen):05}"))
            if len(seen) == 2:
                raise ZeroDivisionError
            return len(seen) < 3

        job = every(OFTEN, settle)

        with running(scheduler(backbone, job.bound(backbone.units))):
            wait_until(lambda: len(seen) > 3)

        assert job.name == "test_scheduler.settle"
        assert backbone.effects()[:2] == ["run 00001", "run 00003"]
        assert all(seen)

    def test_a_scheduler_ticks_while_it_works_and_while_it_stands_by(self, backbone: Backbone) -> None:
        ticks: Counter[str] = Counter()
        with ExitStack() as stack:
            for name in ("active", "standby"):
                stack.enter_context(running(scheduler(backbone), lambda name=name: ticks.update([name])))

            wait_until(lambda: ticks["active"] > 2 and ticks["standby"] > 2)


class TestTwoSchedulers:
    def test_one_works_and_the_other_takes_over_when_it_ends(self, backbone: Backbone, database_url: str) -> None:
        runs: Counter[str] = Counter()
        other = Database(database_url)
        first = scheduler(backbone, Job("job", OFTEN, lambda: runs.update(["first"])))
        second = scheduler(backbone, Job("job", OFTEN, lambda: runs.update(["second"])), database=other)
        ticks: list[None] = []

        with running(first):
            wait_until(lambda: runs["first"])
            with running(second, lambda: ticks.append(None)):
                wait_until(lambda: len(ticks) > 3)
                assert runs["second"] == 0
                assert (first.active, second.active) == (True, False)

                first._stop.set()
                wait_until(lambda: runs["second"])

        assert not first.active
        other.close()

    @only_postgresql
    def test_the_other_takes_over_when_the_first_has_lost_its_connection(
        self, backbone: Backbone, database_url: str
    ) -> None:
        runs: Counter[str] = Counter()
        with Proxy(database_url) as proxy:
            distant = Database(proxy.url)
            first = scheduler(backbone, Job("job", OFTEN, lambda: runs.update(["first"])), database=distant)
            second = scheduler(backbone, Job("job", OFTEN, lambda: runs.update(["second"])))
            with running(first):
                wait_until(lambda: runs["first"])
                with running(second):
                    proxy.cut()

                    wait_until(lambda: runs["second"])
                    wait_until(lambda: not first.active)
            distant.close()
