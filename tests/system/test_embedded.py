from pathlib import Path

from service_chassis.testing.waiting import wait_until
from tests.conftest import Figure
from tests.running.cleanup import CleanupRun
from tests.running.embedded import PROCESS, Embedded
from tests.running.people import PASSWORD, crowd, person
from tests.running.settled import assert_reconciled, assert_settled
from tests.running.steward import USER

READY_WITHIN = 15.0
"""Three times what an idle machine takes, because tests share theirs."""


def test_the_embedded_process_says_that_it_is_ready(shared_embedded: Embedded, figure: Figure) -> None:
    (line,) = (line for line in shared_embedded.process.text().splitlines() if "is ready at" in line)

    seconds = float(line.partition(" after ")[2].partition(" s")[0])
    figure("until ready", seconds)
    assert shared_embedded.gateway.replace("127.0.0.1", "localhost") in line
    assert seconds < READY_WITHIN


def test_the_embedded_process_killed_in_the_middle_of_a_run_finishes_it_after_its_restart(
    embedded: Embedded,
) -> None:
    people = crowd(2_500, inactive=0.9)
    embedded.take_in(people)
    anna = person("anna", days_away=0)
    run = CleanupRun.triggered(embedded)
    wait_until(run.is_half_way, 30, every=0.05)

    accepted = embedded.door.post("/api/v1/users", {"email": anna.email, "password": PASSWORD})
    embedded.process.kill()
    settled = run.settled
    embedded.start(PROCESS)
    run.finished()

    assert accepted.status == 201
    assert 0 < settled < run.view["candidates"]
    assert embedded.sign_in(anna.email).get("/api/v1/users").meta["total"] == 1
    assert_reconciled(run, people)
    assert_settled(embedded)


def test_what_is_kept_is_for_its_user_alone(embedded: Embedded, tmp_path: Path) -> None:
    data = embedded._data

    assert data.stat().st_mode & 0o777 == 0o700
    kept = {file.name: oct(file.stat().st_mode & 0o777) for file in data.rglob("*") if file.is_file()}
    assert {"user-service.db", "broker.db"} <= set(kept)
    assert set(kept.values()) == {"0o600"}
    rejected = tmp_path / "bad.csv"
    rejected.write_text("email\nnobody\n")
    embedded.run_command(USER, "import-users", rejected)
    assert (tmp_path / "bad.csv.rejects.csv").stat().st_mode & 0o777 == 0o600
