import pytest

from cleanup_service.config import Settings
from service_chassis.settings import SettingsError


@pytest.mark.parametrize("mode", ["delete", "deactivated"])
def test_a_cleanup_mode_that_is_not_there_is_refused_at_the_start(mode: str) -> None:
    """S1-09, C-1."""
    with pytest.raises(SettingsError) as raised:
        Settings.read({"CLEANUP_MODE": mode})

    (problem,) = raised.value.problems
    assert problem.startswith("CLEANUP_MODE")


def test_the_cleanup_mode_may_be_named() -> None:
    assert Settings.read({"CLEANUP_MODE": "deactivate"}) == Settings.read({})
