import csv
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from event_contracts import Contract, UserRegistered
from service_chassis.clock import ManualClock
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import BATCH_LIMIT, Event
from service_chassis.messaging.tables import outbox as outbox_table
from service_chassis.service import Service
from service_chassis.testing.plugin import only_postgresql, only_sqlite
from service_chassis.testing.waiting import wait_until
from user_service.model.import_row import Rejected
from user_service.model.user import Role, User
from user_service.usecases import registration
from user_service.usecases.importing import Tally, import_users

DJANGO_HASH = "pbkdf2_sha256$1000$seasalt$GYPsLisEsszbHrPGSLZAUayJhTbiptdVv+vkyMFr7GY="
Published = Callable[[type[Contract]], list[Event]]
Import = Callable[[bytes], Tally]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "import"
    folder.mkdir()
    return folder


@pytest.fixture
def run(service: Service, folder: Path) -> Import:
    """Imports a file of these bytes."""

    def run(content: bytes) -> Tally:
        file = folder / "users.csv"
        file.write_bytes(content)
        return import_users(service.units, file, folder / "rejects.csv")

    return run


def rejects(folder: Path) -> dict[int, str]:
    """Return the reasons by line."""
    with (folder / "rejects.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["line", "reason", "row"]
    return {int(line): reason for line, reason, _ in rows}


def everybody(service: Service) -> list[tuple[Any, ...]]:
    with service.units.read() as uow:
        rows = uow.session.execute(select(*User.__table__.columns).order_by(User.number))
        return [tuple(row) for row in rows]


def emails(service: Service) -> list[str]:
    """Return the addresses of all but the admin of the demo."""
    with service.units.read() as uow:
        return list(uow.session.scalars(select(User.email).order_by(User.number)))[1:]


def messages(service: Service) -> int:
    with service.units.read() as uow:
        return uow.session.scalar(select(func.count()).select_from(outbox_table)) or 0


EVERY_KIND_OF_ROW = b"\n".join(
    [
        b"email,name,created_at",
        b"anna@example.com,Anna,2029-01-01",
        b",Nobody,2029-01-01",
        b"bert@example.com,Bert,yesterday",
        b"ANNA@example.com,Another Anna,2029-01-01",
        b"carla@example.com,Carla",
        b"dora@example.com,D\xf6ra,2029-01-01",
        b'emil@example.com,"Emil,2029-01-01',
        b"fritz@example.com,Fr\x00itz,2029-01-01",
        b"gu\x00sti@example.com,Gusti,2029-01-01",
        b"no address,Hans,2029-01-01",
        b"",
        b'ida@example.com,"Ida ""the first""\nof her name",2029-01-01',
        b"jakob@example.com,Jakob,2031-01-01",
        b'klara@example.com,"Klara" or so,2029-01-01',
        b"ludwig@example.com,Ludwig,2029-01-01",
    ]
)


def test_bad_rows_go_to_the_rejects_with_line_and_reason_and_the_rest_goes_in(
    run: Import, service: Service, folder: Path
) -> None:
    tally = run(EVERY_KIND_OF_ROW)

    assert emails(service) == ["anna@example.com", "ida@example.com", "ludwig@example.com"]
    told = rejects(folder)
    assert told[8].startswith("It is no CSV: ")
    assert told[16].startswith("It is no CSV: ")
    assert {line: reason for line, reason in told.items() if line not in {8, 16}} == {
        3: "It has no e-mail address.",
        4: "created_at is 'yesterday', no ISO 8601 date.",
        5: "Line 2 has the same e-mail address.",
        6: "It has 2 columns, the header 3.",
        7: "It is not valid UTF-8.",
        9: "It holds a NUL character.",
        10: "It holds a NUL character.",
        11: "'no address' is no e-mail address.",
        15: "created_at is '2031-01-01', which is in the future.",
    }
    assert (tally.read, tally.imported, tally.existing, tally.rejected) == (14, 3, 0, 11)


def test_rejected_rows_are_kept_as_they_were(run: Import, folder: Path) -> None:
    run(EVERY_KIND_OF_ROW)

    kept = (folder / "rejects.csv").read_bytes()

    assert b"dora@example.com,D\xf6ra,2029-01-01" in kept
    with (folder / "rejects.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = {row["line"]: row["row"] for row in csv.DictReader(stream)}
    assert rows["8"] == 'emil@example.com,"Emil,2029-01-01'
    assert rows["16"] == 'klara@example.com,"Klara" or so,2029-01-01'


@only_sqlite
def test_no_hash_of_a_password_goes_to_the_rejects(run: Import, folder: Path) -> None:
    """Nor what may be one: a column nobody knows, or a row of which it cannot be told what is where."""
    run(
        b"name,email,password_hash,passwd\n"
        b"Anna,nobody,$argon2id$secret,$1$secret\n"
        b'"Bert",bert@example.com,"$argon2id$secret\n'
        b"Carla,carla@example.com,$argon2id$secret,$1$secret,one too many\n"
    )

    kept = (folder / "rejects.csv").read_text()

    assert "secret" not in kept
    assert "2,'nobody' is no e-mail address.,\"Anna,nobody,,\"" in kept
    assert list(rejects(folder)) == [2, 3, 4]


@only_sqlite
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}"])
def test_nothing_in_the_rejects_is_a_formula_of_a_spreadsheet(run: Import, folder: Path, start: str) -> None:
    run(f'email,name\n"{start}HYPERLINK(1)",Anna\n'.encode() + f"{start}cmd,Bert\n".encode())

    with (folder / "rejects.csv").open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert len(cells) > len(["line", "reason", "row"])
    assert not [cell for cell in cells if cell.startswith(start)]


@only_sqlite
def test_rejects_are_for_their_owner_alone(run: Import, folder: Path) -> None:
    run(b"email\nnobody\n")

    assert (folder / "rejects.csv").stat().st_mode & 0o777 == 0o600


@only_sqlite
@pytest.mark.parametrize(
    "bad", [b'bad@example.com,"open', b'"bad@example.com,open', b'bad@example.com,"open"ed"', b'bad@example.com,""open']
)
def test_a_quote_that_is_not_closed_costs_its_own_line_only(
    run: Import, service: Service, folder: Path, bad: bytes
) -> None:
    good = [f'user{number}@example.com,"User {number}"'.encode() for number in range(3000)]

    tally = run(b"\n".join([b"email,name", *good[:1000], bad, *good[1000:]]))

    assert (tally.imported, tally.rejected) == (3000, 1)
    assert list(rejects(folder)) == [1002]
    assert len(emails(service)) == 3000


def test_a_second_import_changes_nothing(
    run: Import, service: Service, folder: Path, new_user: Callable[..., User]
) -> None:
    run(EVERY_KIND_OF_ROW)
    users, told, refused = everybody(service), messages(service), rejects(folder)

    tally = run(EVERY_KIND_OF_ROW)

    assert (tally.imported, tally.existing, tally.rejected) == (0, 3, 11)
    assert (everybody(service), messages(service), rejects(folder)) == (users, told, refused)
    assert new_user("next").number == len(users) + 1


def test_who_exists_already_is_left_as_they_are(
    run: Import, new_user: Callable[..., User], service: Service, state_of: Callable[[User], User]
) -> None:
    anna = new_user("anna")
    told = messages(service)

    tally = run(b"email,name,role,is_active\nAnna@example.com,Somebody else,admin,false\n")

    assert (tally.imported, tally.existing) == (0, 1)
    now = state_of(anna)
    assert (now.name, now.role, now.is_active, now.version) == ("Anna", Role.USER, True, 1)
    assert messages(service) == told


def test_every_imported_user_is_told_of_in_batches(
    run: Import, service: Service, clock: ManualClock, published: Published
) -> None:
    with service.units.write() as uow:
        uow.session.execute(outbox_table.delete())

    run(b"email,last_login_at\n" + b"".join(b"user%d@example.com,2029-12-01\n" % number for number in range(1200)))

    with service.units.read() as uow:
        sizes = [message.events for _, message in outbox.pending(uow.session, 100)]
        users = {row.id: row for row in uow.session.execute(select(*User.__table__.columns))}
    assert sum(sizes) == 1200
    assert max(sizes) == BATCH_LIMIT <= 500
    events = published(UserRegistered)
    assert len({event.id for event in events}) == 1200
    for event in events:
        user = users[event.data.user_id]
        assert (event.data.number, event.data.email, event.version) == (user.number, user.email, user.version)
        assert event.data.last_activity_at == user.last_activity_at


@only_sqlite
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfemail,name\r\nanna@example.com,Anna\r\n",
        b"name,shoe size,EMAIL\nAnna,42,anna@example.com\n",
        b'"email", name\n anna@example.com , Anna \n',
        b"email,name\n\n\nanna@example.com,Anna",
        b'email,name\n"anna@example.com","Anna"\r\n',
        b"email,name\ranna@example.com,Anna\r",
    ],
)
def test_files_come_in_many_forms(run: Import, service: Service, content: bytes) -> None:
    tally = run(content)

    assert (tally.imported, tally.rejected) == (1, 0)
    assert [row[2:4] for row in everybody(service)[1:]] == [("anna@example.com", "Anna")]


@only_sqlite
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"name,role\nAnna,user\n", b"anna@example.com,Anna\n", b'"email\n', b"\xff\xfee\x00"]
)
def test_a_file_of_no_use_is_refused_as_a_whole(run: Import, service: Service, content: bytes) -> None:
    before = messages(service)

    with pytest.raises(Rejected):
        run(content)

    assert (emails(service), messages(service)) == ([], before)


@only_sqlite
def test_a_file_without_rows_imports_nobody(run: Import) -> None:
    assert run(b"email,name\n") == Tally()


@only_sqlite
def test_rejects_of_an_earlier_import_do_not_stay(run: Import, folder: Path) -> None:
    run(b"email\nnobody\n")
    assert rejects(folder)

    run(b"email\nanna@example.com\n")

    assert not (folder / "rejects.csv").exists()


@only_sqlite
def test_an_imported_user_signs_in_with_the_password_from_before(
    run: Import, signed_in: Callable[..., FlaskClient]
) -> None:
    run(b"email,password_hash\nanna@example.com," + DJANGO_HASH.encode())

    assert signed_in("anna@example.com", "corréct horse").get("/api/v1/users").status_code == 200


@only_sqlite
def test_an_import_of_any_size_takes_the_same_memory(service: Service, folder: Path) -> None:
    file = folder / "users.csv"
    with file.open("w", encoding="utf-8") as stream:
        stream.write("email,name,created_at\n")
        stream.writelines(f"user{number}@example.com,User {number},2029-01-01\n" for number in range(50_000))
    used: dict[int, tuple[int, int]] = {}

    def note(tally: Tally) -> None:
        used[tally.read] = sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    tally = import_users(service.units, file, folder / "rejects.csv", progress=note)

    assert tally.imported == 50_000
    blocks, peak = (later - earlier for earlier, later in zip(used[5_000], used[50_000], strict=True))
    assert blocks < 20_000
    assert peak < 8 * 1024


def test_an_import_and_the_service_write_at_the_same_time(
    service: Service, folder: Path, new_user: Callable[..., User]
) -> None:
    file = folder / "users.csv"
    file.write_text("email\n" + "".join(f"user{number}@example.com\n" for number in range(1500)), encoding="utf-8")
    tallies: list[Tally] = []
    importing = threading.Thread(
        target=lambda: tallies.append(import_users(service.units, file, folder / "rejects.csv"))
    )

    importing.start()
    registered = 0
    while importing.is_alive():
        new_user(f"new{registered}")
        registered += 1
    importing.join()

    assert [tally.imported for tally in tallies] == [1500]
    assert registered > 5
    assert len(emails(service)) == 1500 + registered


@only_postgresql
def test_who_registers_while_an_import_has_the_same_row_in_hand_counts_as_existing(
    service: Service, run: Import, published: Published
) -> None:
    tallies: list[Tally] = []
    importing = threading.Thread(target=lambda: tallies.append(run(b"email\nanna@example.com\nbert@example.com\n")))

    with service.units.write() as uow:
        anna = registration.register(uow, "anna@example.com", "Anna", None)
        importing.start()
        wait_until(lambda: waits_for_a_lock(service))
    importing.join(10)

    assert [(tally.imported, tally.existing) for tally in tallies] == [(1, 1)]
    assert emails(service) == ["anna@example.com", "bert@example.com"]
    assert [event.data.user_id for event in published(UserRegistered) if event.data.email == anna.email] == [anna.id]


def waits_for_a_lock(service: Service) -> bool:
    with service.units.read() as uow:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(uow.session.connection().exec_driver_sql(waiting).scalar())
