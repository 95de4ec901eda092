"""Forms of password hashes that were ever stored."""

from collections.abc import Collection
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from service_chassis.database.statements import insert_new
from user_service.model.password_form import PasswordForm

FORMS = select(PasswordForm.form)


class PasswordFormRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> frozenset[str]:
        return frozenset(self._session.scalars(FORMS))

    def add(self, forms: Collection[str]) -> None:
        """Note forms that are stored from now on, in one order everywhere."""
        if forms:
            table = cast("Table", PasswordForm.__table__)
            insert_new(self._session, table, {"form": sorted(forms)}, table.c.form)
