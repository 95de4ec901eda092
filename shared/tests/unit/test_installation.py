from pathlib import Path

import pytest

from service_chassis import installation
from service_chassis.runtime import Runtime
from service_chassis.settings import Environment


def test_data_is_in_the_installation_whatever_folder_a_command_is_called_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3-20."""
    monkeypatch.chdir(tmp_path)

    runtime = Runtime.read(Environment({}), "plain-service", port=8000)

    assert runtime.database_url == f"sqlite:///{installation.CHECKOUT / '.data' / 'plain-service.db'}"


def test_an_absolute_data_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert installation.data_folder(str(tmp_path)) == tmp_path


def test_without_a_checkout_the_current_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installation, "CHECKOUT", tmp_path / "site-packages")

    assert installation.data_folder(".data") == tmp_path / ".data"
