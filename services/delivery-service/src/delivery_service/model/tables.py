"""The base of the mapped classes, and the metadata that migrations are compared with."""

from sqlalchemy.orm import DeclarativeBase


class Entity(DeclarativeBase):
    pass
