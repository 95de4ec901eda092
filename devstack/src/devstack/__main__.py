"""`python -m devstack`: run all of Steward on this machine."""

import asyncio
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click

from devstack.sample import write_users
from service_chassis import process
from service_chassis.installation import data_folder
from service_chassis.logs import capture_library_logs, make_log
from service_chassis.settings import SettingsError

CONFIGURATION_ERROR = 78
CANNOT_LISTEN = 69
"""Exit code when the port or the folder is taken, EX_UNAVAILABLE of sysexits.h."""

WELCOME = """
Steward is ready at http://localhost:{port} after {seconds:.1f} s. Data is in {place}; Ctrl-C stops it.

  Sign in as admin@example.com / adminpass (demo profile), for example:

    curl -s http://localhost:{port}/api/v1/auth/login -H 'Content-Type: application/json' \\
         -d '{{"email": "admin@example.com", "password": "adminpass"}}'

  What is up:   http://localhost:{port}/status
  The API:      http://localhost:{port}/openapi.json
  The mails:    http://localhost:{port}/demo/mail (demo profile without SMTP_URL)
  A walk through import, cleanup and report is in README.md.
"""


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Run Steward on this machine: `run` in one process on files, `native` as processes on real servers."""
    if context.invoked_subcommand is None:
        context.invoke(run)


@main.command()
@click.option("--port", envvar="GATEWAY_PORT", default=8000, show_default=True, help="Port of the gateway.")
@click.option("--host", envvar="GATEWAY_HOST", help="Address to listen on instead of this machine's own.")
@click.option(
    "--data",
    envvar="STEWARD_DATA",
    default=".data",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of all data.",
)
def run(port: int, host: str | None, data: Path) -> None:
    """Serve everything in this process, with SQLite and files under one folder."""
    started = time.monotonic()
    # The services bring their libraries along; `--help` should not wait for them.
    from devstack.embedded import AlreadyRunning, Stack

    process.tune()
    data = data_folder(str(data))
    data.mkdir(parents=True, exist_ok=True)
    # A folder of an earlier version may be open to others.
    data.chmod(0o700)
    log = make_log("devstack", level=os.environ.get("LOG_LEVEL", "INFO"), form=os.environ.get("LOG_FORMAT", "auto"))
    capture_library_logs(log)
    try:
        asyncio.run(_serve(Stack(os.environ, data, port, host), data, started))
    except SettingsError as error:
        _give_up(str(error), CONFIGURATION_ERROR)
    except AlreadyRunning:
        _give_up(f"Another process serves from {data}; stop it or choose another --data.", CANNOT_LISTEN)
    except OSError as error:
        _give_up(f"Port {port} cannot be used: {error.strerror}. Choose another with GATEWAY_PORT.", CANNOT_LISTEN)


@main.command()
@click.option("--port", envvar="GATEWAY_PORT", default=8000, show_default=True, help="Port of the gateway.")
def native(port: int) -> None:
    """Run the processes of the Procfile, on the servers of DATABASE_URL, BROKER_URL and REDIS_URL."""
    started = time.monotonic()
    # As above; and honcho is not there on Windows.
    from devstack.native import CannotStart, run

    def announce() -> None:
        welcome = WELCOME.format(port=port, seconds=time.monotonic() - started, place="PostgreSQL and RabbitMQ")
        click.echo(welcome)

    try:
        code = run(os.environ, Path("Procfile"), port, announce)
    except CannotStart as error:
        _give_up(str(error), CANNOT_LISTEN)
    click.echo("Steward has stopped.")
    sys.exit(code)


@main.command("sample-users")
@click.argument("count", type=click.IntRange(min=1))
def sample_users(count: int) -> None:
    """Print COUNT made-up users as a CSV file for import-users; two in five have been away for months."""
    write_users(sys.stdout, count, datetime.now(UTC))


@main.command("rabbitmq-definitions")
@click.option("--load-into", metavar="URL", help="Management address of a RabbitMQ to load them into, for its admin.")
def rabbitmq_definitions(load_into: str | None) -> None:
    """Print what RabbitMQ should hold, as a definitions file: users, permissions, exchanges, queues and bindings.

    Passwords come from USER_SERVICE_BROKER_PASSWORD and its like, that of admin from RABBITMQ_ADMIN_PASSWORD.
    """
    # As above.
    from devstack.rabbitmq_definitions import PRODUCERS, clients, definitions, load, names, read_passwords

    services = clients()
    try:
        found = definitions(services, PRODUCERS, read_passwords(os.environ, names(services, PRODUCERS)))
        if load_into is None:
            click.echo(json.dumps(found, indent=2))
        else:
            load(found, load_into, os.environ)
    except SettingsError as error:
        _give_up(str(error), CONFIGURATION_ERROR)
    except OSError as error:
        _give_up(f"{load_into} does not take the definitions: {error}", CANNOT_LISTEN)


async def _serve(stack: "Stack", data: Path, started: float) -> None:  # type: ignore[name-defined]  # noqa: F821  # imported late
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        _on_signal(loop, number, stopped)
    try:
        await stack.start()
        click.echo(WELCOME.format(port=stack.port, seconds=time.monotonic() - started, place=data))
        await stopped.wait()
    finally:
        await stack.stop()
    click.echo("Steward has stopped.")


def _on_signal(loop: asyncio.AbstractEventLoop, number: int, stopped: asyncio.Event) -> None:
    try:
        loop.add_signal_handler(number, stopped.set)
    except NotImplementedError:
        # Windows' loop has no signal handlers; the plain ones serve there.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))


def _give_up(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main(prog_name="python -m devstack")
