"""The embedded run: how soon it is ready, what it costs while idle, and how fast it takes in users while it serves."""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import harness
from service_chassis.testing.servers.process import free_port

IDLE_SECONDS = 30
SETTLE_SECONDS = 5


def run(users: int) -> dict[str, Any]:
    """Measure one embedded process from its start through an import to its end."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "users.csv"
        with file.open("w") as stream:
            subprocess.run([sys.executable, "-m", "devstack", "sample-users", str(users)], stdout=stream, check=True)
        env = {"STEWARD_DATA": f"{folder}/data", "GATEWAY_PORT": str(free_port()), "LOG_LEVEL": "WARNING"}
        apart = env | {"STEWARD_DATA": f"{folder}/alone"}
        harness.python("-m", "user_service", "migrate", env=apart, stdout=subprocess.DEVNULL).wait()
        alone = _import(file, apart)
        first_start = _started_within(env)
        started = time.monotonic()
        process = _serving(env)
        try:
            ready = _wait_until_ready(process, started)
            idle = _idle(process)
            serving = _import(file, env)
            again = _import(file, env)
        finally:
            process.terminate()
            process.wait(30)
    return {
        "first_start_seconds": first_start,
        "ready_seconds": ready,
        "ready_limit": "<= 5 s",
        "idle": {**idle, "limit": "<= 200 MB, < 2 % of one core"},
        "import_alone": alone,
        "import_while_serving": serving,
        "import_again": again,
        "import_limit": f"{users} users in <= 30 s, memory flat",
    }


def _started_within(env: dict[str, str]) -> float:
    started = time.monotonic()
    process = _serving(env)
    try:
        return _wait_until_ready(process, started)
    finally:
        process.terminate()
        process.wait(30)


def _serving(env: dict[str, str]) -> subprocess.Popen[str]:
    return harness.python("-m", "devstack", "run", env=env, stdout=subprocess.PIPE)


def _wait_until_ready(process: subprocess.Popen[str], started: float) -> float:
    for line in process.stdout or []:
        if "is ready at" in line:
            return round(time.monotonic() - started, 2)
    raise RuntimeError("The process ended before it was ready.")


def _idle(process: subprocess.Popen[str]) -> dict[str, float]:
    time.sleep(SETTLE_SECONDS)
    before = harness.cpu_seconds(process.pid)
    time.sleep(IDLE_SECONDS)
    used = harness.cpu_seconds(process.pid) - before
    return {"cpu_percent": round(100 * used / IDLE_SECONDS, 2), "rss_mb": harness.rss_mb(process.pid)}


def _import(file: Path, env: dict[str, str]) -> dict[str, Any]:
    started = time.monotonic()
    process = harness.python("-m", "user_service", "import-users", str(file), env=env, stdout=subprocess.PIPE)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, harness.peak_rss_mb(process.pid))
        time.sleep(0.2)
    summary = json.loads(process.stdout.read() if process.stdout else "{}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "imported": summary["imported"],
        "existing": summary["existing"],
        "peak_rss_mb": peak,
    }
