"""A Django project's users, exported as one would: run as a program, it prints a CSV to import."""

import csv
import sys
from datetime import UTC, datetime

import django
from django.conf import settings

COLUMNS = ("email", "name", "created_at", "last_login_at", "is_active", "password_hash")


def main(path: str, password: str, *emails: str) -> None:
    """Make a database with a user for each address, and print all of them."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
        USE_TZ=True,
    )
    django.setup()
    # Django's models can be imported once it is set up, and not before.
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for email in emails:
        User.objects.create_user(email, email, password, first_name="From Django", last_login=datetime.now(UTC))
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for user in User.objects.all():
        last_login = user.last_login.isoformat() if user.last_login else ""
        joined = user.date_joined.isoformat()
        writer.writerow([user.email, user.get_full_name(), joined, last_login, user.is_active, user.password])


if __name__ == "__main__":
    main(*sys.argv[1:])
