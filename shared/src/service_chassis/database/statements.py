"""The two statements that PostgreSQL and SQLite share but SQLAlchemy types or spells differently."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Column, CursorResult, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def changed(session: Session, statement: Executable) -> int:
    """Execute an update or delete and return how many rows it hit."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def upsert(session: Session, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """Return an insert into `table` that knows ON CONFLICT, in the session's dialect."""
    dialect = session.get_bind().dialect.name
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_new(session: Session, table: Table, rows: Sequence[Mapping[str, Any]], returning: Column[Any]) -> list[Any]:
    """Insert the rows that are not there yet, and return a column of those that were new."""
    if not rows:
        return []
    statement = upsert(session, table).on_conflict_do_nothing().returning(returning)
    return list(session.scalars(statement, [dict(row) for row in rows]))
