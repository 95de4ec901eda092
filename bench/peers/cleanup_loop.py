"""The cleanup of the systems people come from: Django, one row at a time, and nobody is told."""

import datetime as dt
import time
import uuid
from typing import Any
from urllib.parse import urlsplit


def rate(database: str, users: int) -> float:
    """Deactivate so many inactive users in a loop; return users per second."""
    model = _model(database)
    _fill(database, users)
    cutoff = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    started = time.monotonic()
    done = 0
    for user in model.objects.filter(is_active=True, last_login__lt=cutoff).iterator():
        user.is_active = False
        user.save()
        done += 1
    return done / (time.monotonic() - started)


def _model(database: str) -> Any:
    import django  # A peer only; nothing else here should load it.
    from django.conf import settings

    parts = urlsplit(database)
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.lstrip("/"),
                "USER": parts.username,
                "PASSWORD": parts.password or "",
                "HOST": parts.hostname,
                "PORT": parts.port or 5432,
            }
        },
        USE_TZ=True,
    )
    django.setup()
    from django.db import models

    class User(models.Model):
        id = models.UUIDField(primary_key=True)
        email = models.TextField(unique=True)
        name = models.TextField()
        password = models.TextField()
        is_active = models.BooleanField()
        last_login = models.DateTimeField(db_index=True)

        class Meta:
            app_label = "peer"
            db_table = "peer_users"

    return User


def _fill(database: str, users: int) -> None:
    import psycopg

    seen = dt.datetime.now(dt.UTC) - dt.timedelta(days=90)
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE peer_users (id uuid PRIMARY KEY, email text UNIQUE, name text, password text,"
            " is_active boolean, last_login timestamptz)"
        )
        connection.execute("CREATE INDEX ON peer_users (last_login)")
        with connection.cursor().copy("COPY peer_users FROM STDIN") as copy:
            for number in range(users):
                copy.write_row((uuid.uuid4(), f"user{number}@example.org", f"User {number}", "!", True, seen))
