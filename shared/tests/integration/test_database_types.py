from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Uuid, insert, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import registry

from service_chassis.database import Database, Json, UtcDateTime, statements
from service_chassis.database.statements import among, changed, insert_new
from service_chassis.ids import uuid7

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime),
    Column("about", Json),
    Column("uuid", Uuid),
)


class Thing(registry(metadata=metadata).generate_base()):  # type: ignore[misc]  # SQLAlchemy types the base as Any
    __table__ = things


NOON = datetime(2030, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _tables(database: Database) -> None:
    with database.writing() as session:
        metadata.create_all(session.connection())


def kept(database: Database, **values: object) -> object:
    """Write a row and return what is read back of it."""
    with database.writing() as session:
        session.execute(insert(things).values(id=1, **values))
    with database.reading() as session:
        (value,) = session.execute(select(*(things.c[name] for name in values))).one()
        return value


class TestTypes:
    @pytest.mark.parametrize(
        "moment",
        [NOON, NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30))), datetime(1, 1, 2, tzinfo=UTC)],
    )
    def test_an_instant_comes_back_in_utc_to_the_microsecond(self, database: Database, moment: datetime) -> None:
        came_back = kept(database, at=moment)

        assert came_back == moment
        assert isinstance(came_back, datetime)
        assert came_back.utcoffset() == timedelta(0)

    def test_no_instant_comes_back_as_none(self, database: Database) -> None:
        assert kept(database, at=None) is None

    def test_an_instant_without_a_time_zone_is_refused(self, database: Database) -> None:
        with pytest.raises(StatementError, match="no time zone"):
            kept(database, at=datetime(2030, 1, 15, 12))  # noqa: DTZ001  # the very point

    def test_instants_compare_by_time_and_not_by_how_they_were_given(self, database: Database) -> None:
        earlier = NOON.astimezone(timezone(timedelta(hours=5)))
        with database.writing() as session:
            session.execute(insert(things), [{"id": 1, "at": earlier}, {"id": 2, "at": NOON + timedelta(minutes=1)}])

        with database.reading() as session:
            found = session.scalars(select(things.c.id).where(things.c.at <= NOON)).all()

        assert found == [1]

    @pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "ü"]}, [], "text", 7])
    def test_json_comes_back_as_it_was(self, database: Database, value: object) -> None:
        assert kept(database, about=value) == value

    def test_a_uuid_comes_back_as_one(self, database: Database) -> None:
        uuid = uuid7()

        assert kept(database, uuid=uuid) == uuid


class TestStatements:
    def test_inserting_what_is_new_returns_just_that(self, database: Database) -> None:
        first, second, third = sorted(uuid7() for _ in range(3))
        with database.writing() as session:
            assert insert_new(session, things, {"id": [1, 2], "uuid": [first, second]}, things.c.uuid) == [
                first,
                second,
            ]

        with database.writing() as session:
            assert insert_new(session, things, {"id": [2, 3], "uuid": [second, third]}, things.c.uuid) == [third]
            assert insert_new(session, things, {"id": []}, things.c.uuid) == []

    def test_inserting_many_new_rows_returns_all_of_them(self, database: Database) -> None:
        numbers = list(range(3_000))
        with database.writing() as session:
            assert sorted(insert_new(session, things, {"id": numbers}, things.c.id, same={"at": NOON})) == numbers

    def test_many_rows_hold_instants_of_any_zone_and_ids_and_nothing(self, database: Database) -> None:
        elsewhere = NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
        uuid = uuid7()
        with database.writing() as session:
            insert_new(session, things, {"id": [1, 2], "at": [elsewhere, None], "uuid": [None, uuid]}, things.c.id)

        with database.reading() as session:
            rows = session.execute(select(things.c.at, things.c.uuid).order_by(things.c.id)).all()
        assert [tuple(row) for row in rows] == [(NOON, None), (None, uuid)]

    def test_of_many_instants_none_may_lack_a_time_zone(self, database: Database) -> None:
        naive = datetime(2030, 1, 15, 12)  # noqa: DTZ001  # the very point
        with pytest.raises((StatementError, ValueError), match="no time zone"), database.writing() as session:
            insert_new(session, things, {"id": [1], "at": [naive]}, things.c.id)

    def test_rows_are_chosen_from_a_list_of_ids(self, database: Database) -> None:
        first, second = uuid7(), uuid7()
        with database.writing() as session:
            insert_new(session, things, {"id": [1, 2], "uuid": [first, second]}, things.c.id)

            found = session.scalars(select(things.c.id).where(among(session, things.c.uuid, [second, uuid7()]))).all()

        assert found == [2]

    def test_rows_are_deleted_a_bounded_piece_at_a_time(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statements, "DELETED_AT_ONCE", 4)
        with database.writing() as session:
            insert_new(session, things, {"id": list(range(10))}, things.c.id)
            more = [statements.delete_some(session, Thing.id, Thing.id < 7) for _ in range(2)]
            left = session.scalars(select(things.c.id).order_by(things.c.id)).all()

        assert (more, left) == ([True, False], [7, 8, 9])

    def test_changes_are_counted(self, database: Database) -> None:
        with database.writing() as session:
            insert_new(session, things, {"id": list(range(10))}, things.c.id)

            assert changed(session, things.delete().where(things.c.id < 7)) == 7

    @pytest.mark.parametrize("chosen", [[], [1], [1, 3, 99]])
    def test_rows_can_be_chosen_from_a_list_of_any_length(self, database: Database, chosen: list[int]) -> None:
        with database.writing() as session:
            insert_new(session, things, {"id": [1, 2, 3]}, things.c.id)

            found = session.scalars(select(things.c.id).where(among(session, things.c.id, chosen))).all()

        assert sorted(found) == [number for number in chosen if number < 4]
