"""Statements about many rows at once, and those that PostgreSQL and SQLite share but SQLAlchemy spells differently.

PostgreSQL gets a list as one array parameter, whatever its length: one short statement, prepared once, instead of
hundreds of placeholders. SQLite, which has no arrays, is as fast with a statement per row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    CursorResult,
    Dialect,
    Executable,
    Table,
    Uuid,
    delete,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeEngine, UserDefinedType

from service_chassis.database.types import UtcDateTime, in_utc

Insert = postgresql.Insert | sqlite.Insert

DELETED_AT_ONCE = 5_000


def changed(session: Session, statement: Executable) -> int:
    """Execute a statement and return how many rows it hit."""
    # Of an insert, the library forgets the number unless it is asked to keep it.
    result = session.execute(statement, execution_options={"preserve_rowcount": True})
    return cast("CursorResult[Any]", result).rowcount


def delete_some(session: Session, key: InstrumentedAttribute[Any], condition: ColumnElement[bool]) -> bool:
    """Delete rows that meet a condition, a bounded piece of them by primary key; say whether there may be more."""
    some = select(key).where(condition).limit(DELETED_AT_ONCE)
    # The condition once more: a row may have changed since it was chosen.
    statement = delete(key.class_).where(key.in_(some), condition)
    return changed(session, statement.execution_options(synchronize_session=False)) == DELETED_AT_ONCE


def upsert(session: Session, table: Table) -> Insert:
    """Return an insert into `table` that knows ON CONFLICT, in the session's dialect."""
    return postgresql.insert(table) if _has_arrays(session) else sqlite.insert(table)


def insert_many(
    session: Session,
    table: Table,
    columns: Mapping[str, Sequence[Any]],
    *,
    same: Mapping[str, Any] | None = None,
    amend: Callable[[Any], Any] = lambda insert: insert,
    returning: Column[Any] | None = None,
) -> list[Any]:
    """Insert rows given column by column, `same` holding what all share; return the column asked for.

    `amend` adds what the insert does about conflicts.
    """
    if not next(iter(columns.values())):
        return []
    rows: list[dict[str, Any]] | None
    insert, rows = (_from_arrays if _has_arrays(session) else _row_by_row)(session, table, columns, same or {})
    statement = amend(insert)
    if returning is not None:
        return list(session.scalars(statement.returning(returning), rows))
    session.execute(statement, rows)
    return []


def among(
    session: Session, column: InstrumentedAttribute[Any] | Column[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values."""
    if _has_arrays(session):
        return column == func.any(_array(values, column.type))
    return column.in_(list(values))


def insert_new(
    session: Session,
    table: Table,
    columns: Mapping[str, Sequence[Any]],
    returning: Column[Any],
    *,
    same: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Insert the rows that are not there yet, and return a column of those that were new."""
    return insert_many(
        session, table, columns, same=same, amend=lambda insert: insert.on_conflict_do_nothing(), returning=returning
    )


def _from_arrays(
    session: Session, table: Table, columns: Mapping[str, Sequence[Any]], same: Mapping[str, Any]
) -> tuple[Insert, None]:
    arrays = [func.unnest(_array(values, table.c[name].type)) for name, values in columns.items()]
    constants = [literal(value, table.c[name].type) for name, value in same.items()]
    return upsert(session, table).from_select([*columns, *same], select(*arrays, *constants)), None


class _Array(UserDefinedType[list[Any]]):
    """An array of values that need no quotes, written here, which the driver does several times slower."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.name}[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:  # noqa: ARG002  # SQLAlchemy's signature
        return lambda values: "{" + ",".join(["NULL" if value is None else value for value in values]) + "}"


def _array(values: Iterable[Any], of: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return an array as one parameter."""
    if isinstance(of, Uuid):
        return literal([value and value.hex for value in values], _Array("UUID"))
    if isinstance(of, UtcDateTime):
        return literal([value and in_utc(value).isoformat() for value in values], _Array("TIMESTAMPTZ"))
    return literal(list(values), ARRAY(of))


def _row_by_row(
    session: Session, table: Table, columns: Mapping[str, Sequence[Any]], same: Mapping[str, Any]
) -> tuple[Insert, list[dict[str, Any]]]:
    rows = [dict(zip(columns, values, strict=True)) | dict(same) for values in zip(*columns.values(), strict=True)]
    return upsert(session, table), rows


def _has_arrays(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
