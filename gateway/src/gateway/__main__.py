"""`python -m gateway web`: serve, until told to stop."""

import os
import sys
import threading

import click
from prometheus_client import CollectorRegistry

from gateway.bootstrap import Gateway, bootstrap
from service_chassis.aio import DrainingRunner
from service_chassis.logs import capture_library_logs
from service_chassis.settings import SettingsError

CONFIGURATION_ERROR = 78
CANNOT_LISTEN = 69
"""Exit codes of wrong settings and of a port that is taken: EX_CONFIG and EX_UNAVAILABLE of sysexits.h."""


@click.group()
def main() -> None:
    """The one address of Steward."""


@main.command("web")
def _web() -> None:
    """Answer requests, until told to stop."""
    # gunicorn runs on POSIX only, and `--help` should work everywhere.
    from service_chassis.aio.processes import serve

    gateway = _checked()
    capture_library_logs(gateway.log)
    try:
        serve(_make_runner, port=gateway.settings.port, processes=gateway.settings.processes)
    except OSError as error:
        _give_up(f"Port {gateway.settings.port} cannot be used: {error.strerror}.", CANNOT_LISTEN)


async def _make_runner() -> DrainingRunner:
    return _checked().make_runner()


def _checked() -> Gateway:
    try:
        return bootstrap(os.environ, CollectorRegistry(), threading.Event())
    except SettingsError as error:
        _give_up(str(error), CONFIGURATION_ERROR)
        raise


def _give_up(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main(prog_name="python -m gateway")
