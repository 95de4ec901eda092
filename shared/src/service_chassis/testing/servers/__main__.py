"""python -m service_chassis.testing.servers: which servers the tests would use, and installing them."""

import os
import sys

import click

from service_chassis.testing.servers import packages
from service_chassis.testing.servers.location import KINDS, locate
from service_chassis.testing.servers.process import ServerError


@click.group()
def main() -> None:
    """The PostgreSQL, RabbitMQ and Redis that `make test` uses.

    Each is the one named by TEST_DATABASE_URL, TEST_BROKER_URL or TEST_REDIS_URL, else the one listening on
    localhost, else a private one started from installed programs (STEWARD_TEST_PRIVATE=1 leaves out localhost),
    else one installed with apt-get first (Debian or Ubuntu, as root).
    """


@main.command()
def check() -> None:
    """Print which servers the tests would use; fails if one is missing."""
    missing = False
    for kind in KINDS:
        try:
            location = locate(kind, os.environ)
        except ServerError as error:
            missing = True
            click.echo(f"{kind.software.name:<12}{'missing':<12}{error}")
        else:
            click.echo(f"{kind.software.name:<12}{location.source:<12}{location.detail}")
    sys.exit(missing)


@main.command()
def install() -> None:
    """Install those that are not installed, with apt-get."""
    wanted = [kind.software for kind in KINDS if kind.software.folder() is None]
    if not wanted:
        click.echo("All of them are installed.")
    elif packages.can_install():
        packages.install([software.package for software in wanted], because="Asked to install")
    else:
        raise click.ClickException("\n".join(software.advice for software in wanted))


if __name__ == "__main__":
    main(prog_name="python -m service_chassis.testing.servers")
