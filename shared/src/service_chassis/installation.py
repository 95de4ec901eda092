"""Where this installation is, which does not depend on the folder a command is called from."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[3]


def root() -> Path:
    """Return the checkout this code runs from, or the current folder where it was installed without one."""
    return CHECKOUT if (CHECKOUT / "constraints.txt").is_file() else Path.cwd()


def data_folder(configured: str) -> Path:
    """Return the folder of STEWARD_DATA; a relative one is relative to the installation."""
    return root() / configured
