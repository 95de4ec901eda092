"""Which forms of password hashes may be stored: what checking one costs is the same for all of a form."""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from user_service.model.tables import Entity


class PasswordForm(Entity):
    """How a hash begins, up to what it costs. A form stays once it was used, because somebody may have it still."""

    __tablename__ = "password_forms"

    form: Mapped[str] = mapped_column(Text, primary_key=True)
