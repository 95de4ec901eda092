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


def test_what_is_set_in_vain_is_known_by_name() -> None:
    """S1-09."""
    assert Settings.read(
        {"CLEANUP_TRESHOLD": "9", "STEWARD_PROFIL": "production", "CLEANUP_SERVICE_URL": "x", "PATH": "/bin"}
    ).unread == ("CLEANUP_TRESHOLD", "STEWARD_PROFIL")
    assert Settings.read({}).unread == ()
