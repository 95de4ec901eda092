"""What every benchmark needs: databases of its own, the machine's description, and a place for results."""

import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service_chassis.testing.servers import Servers

RESULTS = Path(__file__).parent / "results"


@contextmanager
def servers() -> Iterator[Servers]:
    """Yield real servers: those named by TEST_*_URL, those on this machine, or private ones."""
    with Servers(os.environ) as found:
        yield found


def unique(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:8]}"


def python(*arguments: str, env: dict[str, str] | None = None, stdout: int | None = None) -> subprocess.Popen[str]:
    """Start this interpreter with these arguments."""
    return subprocess.Popen([sys.executable, *arguments], text=True, env={**os.environ, **(env or {})}, stdout=stdout)


def wait_for(
    condition: Callable[[], bool], within: float, every: float = 0.05, alive: Sequence[subprocess.Popen[str]] = ()
) -> float:
    """Wait until a condition holds, while these processes live; return how many seconds that took.

    Raises TimeoutError, or RuntimeError when a process has ended.
    """
    started = time.monotonic()
    while not condition():
        if any(process.poll() is not None for process in alive):
            raise RuntimeError("A process of the benchmark has ended.")
        if time.monotonic() - started > within:
            raise TimeoutError(f"It did not happen within {within:g} s.")
        time.sleep(every)
    return time.monotonic() - started


def peak_rss_mb(pid: int) -> float:
    """Return the most memory a process has had, in MB (Linux); 0 when it has ended."""
    return _memory_mb(pid, "VmHWM:")


def rss_mb(pid: int) -> float:
    """Return how much memory a process has, in MB (Linux); 0 when it has ended."""
    return _memory_mb(pid, "VmRSS:")


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep(name: str, figures: dict[str, Any]) -> Path:
    """Write a result with date, commit, machine and command, and show its figures."""
    now = dt.datetime.now(dt.UTC)
    result = {
        "benchmark": name,
        "date": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "command": "python -m bench " + " ".join(sys.argv[1:]),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{now:%Y-%m-%d}-{name}.json"
    file.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return file


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return found.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def _memory_mb(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(field)), 0.0)
