"""Figures that tests come by, shown at the end; what they must be is the business of the benchmarks."""

from collections.abc import Callable

import pytest

Figure = Callable[[str, float], None]
FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Take a number of seconds under a name."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda name, seconds: figures.append(f"{seconds:6.2f} s  {name}  ({request.node.name})")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(figures))
