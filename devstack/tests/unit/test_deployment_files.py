"""What operators deploy with, held against the code it speaks of."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from honcho.environ import parse_procfile

import cleanup_service.config
import delivery_service.config
import gateway.config
import task_service.config
import user_service.config
from devstack.rabbitmq_definitions import PRODUCERS, clients, names, read_passwords

ROOT = Path(__file__).parents[3]
READERS = {
    "user-web": user_service.config.Settings.read,
    "user-worker": user_service.config.Settings.read,
    "cleanup-web": cleanup_service.config.Settings.read,
    "cleanup-worker": cleanup_service.config.Settings.read,
    "task-web": task_service.config.Settings.read,
    "task-worker": task_service.config.Settings.read,
    "delivery-web": delivery_service.config.Settings.read,
    "delivery-worker": delivery_service.config.Settings.read,
    "gateway": gateway.config.Settings.read,
}
LEFT_OUT = {
    # Data is in servers there.
    "STEWARD_DATA",
    # A web process needs no broker, and each process listens on the one address it has.
    "BROKER_URL",
    "USER_SERVICE_BIND",
    "USER_WORKER_BIND",
    "CLEANUP_SERVICE_BIND",
    "CLEANUP_WORKER_BIND",
    "TASK_SERVICE_BIND",
    "TASK_WORKER_BIND",
    "DELIVERY_SERVICE_BIND",
    "DELIVERY_WORKER_BIND",
}


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """The settings of the example, also those that are commented out."""
    lines = re.findall(r"^(#?)([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    return {name: "" if commented else value for commented, name, value in lines}


def asked_for(read: Callable[[Mapping[str, str]], Any]) -> set[str]:
    # A token signed with a secret needs one setting more.
    env = Asked({"JWT_ALGORITHM": "HS256", "JWT_SECRET": "x" * 32})
    read(env)
    return env.names


@pytest.mark.parametrize("process", READERS)
def test_every_setting_is_in_the_example(process: str, example: dict[str, str]) -> None:
    """S0-17."""
    assert asked_for(READERS[process]) <= example.keys()


@pytest.mark.parametrize("process", READERS)
def test_every_setting_reaches_its_containers(process: str, compose: dict[str, Any]) -> None:
    assert asked_for(READERS[process]) - LEFT_OUT <= compose[process]["environment"].keys()


@pytest.mark.parametrize("read", [*dict.fromkeys(READERS.values())])
def test_the_example_changes_nothing(read: Callable[[Mapping[str, str]], Any], example: dict[str, str]) -> None:
    assert read(example) == read({})


def test_the_example_leaves_the_number_of_processes_to_the_profile(example: dict[str, str]) -> None:
    """S4-55."""
    assert example["WEB_PROCESSES"] == ""


def test_compose_needs_no_setting_that_the_example_does_not_have(example: dict[str, str]) -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    assert used <= example.keys()


def test_user_service_knows_in_containers_the_secrets_it_knows_in_a_demo(compose: dict[str, Any]) -> None:
    given = re.sub(r"\$\{[A-Z_]+:-(.*?)\}", r"\1", compose["user-web"]["environment"]["SERVICE_CLIENTS"])

    read = user_service.config.Settings.read
    assert read({"SERVICE_CLIENTS": given}).service_clients == read({}).service_clients


def test_everybody_at_the_broker_gets_a_password_from_the_settings(
    compose: dict[str, Any], example: dict[str, str]
) -> None:
    env = Asked()
    read_passwords(env, names(clients(), PRODUCERS))

    assert env.names <= compose["rabbitmq-definitions"]["environment"].keys() & example.keys()


def test_the_procfile_starts_the_processes_of_compose(compose: dict[str, Any]) -> None:
    """S0-15, S1-01."""
    procfile = parse_procfile((ROOT / "Procfile").read_text())

    assert procfile.processes.keys() == READERS.keys() <= compose.keys()


def test_there_is_a_command_for_the_log_of_each_process() -> None:
    """S1-10."""
    printed = re.findall(r"^    docker-compose logs -f (\S+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)

    assert sorted(printed) == sorted(READERS)


def test_operations_shows_how_each_database_is_migrated_and_opened(compose: dict[str, Any]) -> None:
    """S1-04, S1-05."""
    text = (ROOT / "docs/operations.md").read_text()
    migrated = set(re.findall(r"^    docker-compose run --rm (\S+) migrate$", text, re.MULTILINE))
    opened = re.findall(r"^    docker-compose exec postgres psql -U postgres -d (\S+)$", text, re.MULTILINE)

    assert migrated == {process for process in READERS if process.endswith("-web")}
    assert migrated | {"postgres"} <= compose.keys()
    assert opened == ["steward_user_service"]


def test_coverage_is_printed_with_lines_and_branches_and_as_pages() -> None:
    """S4-52."""
    shown = subprocess.run(["make", "--dry-run", "coverage"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {"--cov", "--cov-branch", "--cov-report=term", "--cov-report=html"} <= set(shown.stdout.split())


def test_the_management_page_of_rabbitmq_is_where_it_is_expected(compose: dict[str, Any]) -> None:
    """S4-32."""
    rabbitmq = compose["rabbitmq"]

    assert rabbitmq["image"].endswith("-management")
    assert [port for port in rabbitmq["ports"] if port.endswith(":15672")]


@pytest.mark.parametrize("service", ["user", "task", "cleanup", "delivery"])
def test_each_service_has_what_it_takes_to_run_it_alone(service: str, compose: dict[str, Any]) -> None:
    """S0-20, S2-39."""
    root = ROOT / f"services/{service}-service"
    package = root / f"src/{service}_service"
    parts = [
        root / "pyproject.toml",
        root / "README.md",
        package / "__main__.py",
        package / "config.py",
        root / "tests",
    ]

    assert [path for path in parts if not path.exists()] == []
    assert {f"{service}-web", f"{service}-worker"} <= compose.keys()
