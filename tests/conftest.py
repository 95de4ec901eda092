"""What tests have to tell besides their outcome: figures they came by, and the seeds of what they left to chance."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.running", "tests.faults")

Note = Callable[[str], None]
Figure = Callable[[str, float], None]
NOTES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts or kills whole processes, which others beside it would starve."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.serial)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Take a line that is shown at the end."""
    notes = request.config.stash.setdefault(NOTES, [])
    return lambda text: notes.append(f"{request.node.name}: {text}")


@pytest.fixture
def figure(note: Note) -> Figure:
    """Take a number of seconds under a name; what it should be is the business of the benchmarks."""
    return lambda name, seconds: note(f"{seconds:.2f} s {name}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    notes = config.stash.get(NOTES, [])
    if notes:
        terminalreporter.section("notes")
        terminalreporter.write_line("\n".join(notes))
