import os
from contextlib import suppress
from importlib import import_module

pytest_plugins = ["service_chassis.testing.plugin", "service_chassis.testing.service"]

# pytest names the modules of tests after their folders, and two folders have the names of packages: it must know the
# packages before it meets the folders.
for package in ("gateway", "devstack"):
    with suppress(ImportError):
        import_module(package)


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: tests wait for servers a good part of their time."""
    return (os.cpu_count() or 1) + 1
