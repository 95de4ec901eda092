"""Installing servers with apt, on Debian and Ubuntu as root."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service_chassis.testing.servers.process import ServerError

POLICY = Path("/usr/sbin/policy-rc.d")
LOCK_SECONDS = 300


def can_install() -> bool:
    """Say whether this is a Debian or Ubuntu system on which we may install."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and _is_debian()


def install(names: list[str], *, because: str) -> None:
    """Install packages, saying so; raises ServerError."""
    click.echo(f"{because}; installing with apt-get: {' '.join(names)}", err=True)
    with _services_stay_off():
        _apt_get("update")
        _apt_get("install", "-y", "--no-install-recommends", *names)


def _apt_get(*arguments: str) -> None:
    command = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    finished = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=2, check=False)
    if finished.returncode != 0:
        raise ServerError(f"{' '.join(command)} failed with status {finished.returncode}.")


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Keep packages from starting their services: the tests start their own, and a failing one fails apt."""
    if POLICY.exists():
        yield
        return
    # Should we be killed meanwhile, what we leave there forbids nothing any more.
    POLICY.write_text(f"#!/bin/sh\nif kill -0 {os.getpid()}; then exit 101; fi\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return not {"debian", "ubuntu"}.isdisjoint([release["ID"], *release.get("ID_LIKE", "").split()])
