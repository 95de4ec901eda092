"""Fields whose values every database can hold."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import fields, validate

RANGE = validate.Range(datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


class Instant(fields.AwareDateTime):
    """An instant with an offset, within what every database and every time zone can hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=RANGE, **options)
