"""Suites that say how a kind of part behaves; every implementation inherits the suite in its own tests."""
