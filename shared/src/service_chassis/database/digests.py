"""A digest of rows that PostgreSQL and SQLite compute alike, so that two databases tell whether they hold the same."""

import hashlib
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

DIGITS = 8
"""Hexadecimal digits of a row's digest: few enough that SQLite adds up two thousand million of them."""
UUID_DIGITS = 32


class row_digest(GenericFunction[int]):  # noqa: N801  # It is the name of a function in SQL.
    """A number made of a row's id and version; the sum over many rows does not depend on their order."""

    type = BigInteger()
    inherit_cache = True


@compiles(row_digest, "postgresql")
def _on_postgresql(element: row_digest, compiler: SQLCompiler, **options: Any) -> str:
    id_, version = (compiler.process(clause, **options) for clause in element.clauses)
    return f"('x' || substr(md5({id_}::text || ':' || {version}::text), 1, {DIGITS}))::bit({DIGITS * 4})::bigint"


def digest_of(id_: object, version: int) -> int:
    """Return the same as `row_digest`, of an id as SQLite or Python hold it."""
    text = str(id_)
    if len(text) == UUID_DIGITS:
        text = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return int(hashlib.md5(f"{text}:{version}".encode(), usedforsecurity=False).hexdigest()[:DIGITS], 16)
