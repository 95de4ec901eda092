"""delivery-service over the database of a test."""

from pathlib import Path

import pytest

import delivery_service


@pytest.fixture(scope="session")
def migrations() -> Path:
    return Path(delivery_service.__file__).with_name("migrations")
