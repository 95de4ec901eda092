from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Text, Uuid, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service_chassis.database import Database, UtcDateTime
from service_chassis.database.paging import FIRST, Order, Page, Paging, ascending, descending, fetch_page

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Visit(Base):
    __tablename__ = "visits"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    name: Mapped[str] = mapped_column(Text)


@pytest.fixture
def visits(database: Database) -> Database:
    """A database with ten visits, of which always three are at the same instant."""
    Base.metadata.create_all(database.engine)
    with database.writing() as session:
        for number in range(10):
            at = NOON + timedelta(microseconds=number // 3)
            session.add(Visit(id=UUID(int=number), at=at, name=f"visitor {number % 4}"))
    return database


def piece(database: Database, order: Order, paging: Paging) -> Page[Visit]:
    with database.reading() as session:
        return fetch_page(session, select(Visit), order, paging)


def walked(database: Database, order: Order) -> list[int]:
    """Return the numbers of all visits as cursors lead through them."""
    seen: list[int] = []
    cursor: str | None = FIRST
    while cursor is not None:
        page = piece(database, order, Paging(limit=4, cursor=cursor))
        seen += [visit.id.int for visit in page.items]
        cursor = page.next_cursor
    return seen


def test_cursors_lead_through_rows_at_the_same_instant_in_either_direction(visits: Database) -> None:
    assert walked(visits, ascending(Visit.at, Visit.id)) == list(range(10))
    assert walked(visits, descending(Visit.at, Visit.id)) == list(range(9, -1, -1))


def test_cursors_lead_through_texts_and_through_ids_alone(visits: Database) -> None:
    by_name = sorted(range(10), key=lambda number: (number % 4, number))

    assert walked(visits, ascending(Visit.name, Visit.id)) == by_name
    assert walked(visits, descending(Visit.id)) == list(range(9, -1, -1))


def test_pages_have_the_same_order_as_cursors(visits: Database) -> None:
    order = descending(Visit.at, Visit.id)

    pages = [piece(visits, order, Paging(limit=4, page=page)) for page in (1, 2, 3, 4)]

    assert [visit.id.int for page in pages for visit in page.items] == walked(visits, order)
    assert [len(page.items) for page in pages] == [4, 4, 2, 0]
    assert {page.total for page in pages} == {10}


def test_a_select_of_columns_yields_rows(visits: Database) -> None:
    statement = select(Visit.id, Visit.name).where(Visit.name == "visitor 1")

    with visits.reading() as session:
        by_page = fetch_page(session, statement, ascending(Visit.id), Paging(limit=2))
        by_cursor = fetch_page(session, statement, ascending(Visit.id), Paging(limit=2, cursor=FIRST))

    assert [row.name for row in by_page.items] == [row.name for row in by_cursor.items] == ["visitor 1"] * 2
    assert by_page.total == by_cursor.total == 3


@pytest.mark.parametrize("cursor", [None, FIRST])
def test_counting_may_end_at_a_number_which_is_then_the_total(visits: Database, cursor: str | None) -> None:
    order, paging = ascending(Visit.id), Paging(limit=4, cursor=cursor)
    with visits.reading() as session:
        totals = [
            fetch_page(session, select(Visit), order, paging, count_up_to=most).total for most in (3, 10, 11, None)
        ]

    assert totals == [3, 10, 10, 10]
