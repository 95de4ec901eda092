"""Ranges of rows come to the same numbers on every database, and are cut so that nothing is left out."""

from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service_chassis.database import Database
from service_chassis.database.digests import digest_of
from service_chassis.database.paging import InvalidCursor
from service_chassis.snapshots.exchanged import Part, Range
from service_chassis.snapshots.rows import Rows

IDS = [UUID(int=number << 64 | 7) for number in range(100)]
LATE = 2**40 + 3


class Base(DeclarativeBase):
    pass


class State(Base):
    __tablename__ = "states"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


ROWS = Rows(State.id, State.version)


@pytest.fixture
def states(database: Database) -> Database:
    """A database with a hundred states, of which every tenth has a version beyond 32 bits."""
    Base.metadata.create_all(database.engine)
    with database.writing() as session:
        session.add_all(State(id=id_, version=LATE if n % 10 == 0 else 1) for n, id_ in enumerate(IDS))
    return database


def test_a_range_comes_to_what_python_makes_of_its_rows(states: Database) -> None:
    asked = Range(str(IDS[9]), str(IDS[11]))
    with states.reading() as session:
        assert ROWS.part(session, asked) == Part(asked, 2, digest_of(IDS[10], LATE) + digest_of(IDS[11], 1))
        assert ROWS.part(session, Range(str(IDS[-1]))) == Part(Range(str(IDS[-1])), 0, 0)


def test_one_version_that_differs_changes_the_digest(states: Database) -> None:
    with states.reading() as session:
        before = ROWS.part(session, Range())
    with states.writing() as session:
        session.get_one(State, IDS[50]).version = 2
    with states.reading() as session:
        after = ROWS.part(session, Range())
    assert (after.count, after.digest != before.digest) == (before.count, True)


@pytest.mark.parametrize("parts", [1, 2, 7, 64, 100, 1000])
def test_a_range_is_cut_into_pieces_that_follow_one_another_and_hold_everything(states: Database, parts: int) -> None:
    with states.reading() as session:
        whole = ROWS.part(session, Range())
        pieces = list(ROWS.cut(session, Range(), parts))
        found = [ROWS.part(session, piece) for piece in pieces]

    assert (pieces[0].after, pieces[-1].to) == ("", None)
    assert all(one.to == following.after for one, following in pairwise(pieces))
    assert sum(part.count for part in found) == whole.count
    assert sum(part.digest for part in found) == whole.digest
    assert max(part.count for part in found) <= -(-100 // parts)


def test_rows_that_do_not_count_are_left_out(states: Database) -> None:
    some = Rows(State.id, State.version, counted=State.version == LATE)
    with states.reading() as session:
        assert some.part(session, Range()).count == 10
        assert some.versions(session, Range(to=str(IDS[10]))) == {str(IDS[0]): LATE, str(IDS[10]): LATE}


def test_a_cursor_that_is_no_id_is_refused(states: Database) -> None:
    with states.reading() as session, pytest.raises(InvalidCursor):
        ROWS.part(session, Range("nothing"))
