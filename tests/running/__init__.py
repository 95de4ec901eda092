"""Runs Steward as real processes for tests, and speaks to it through its public doors: HTTP, CLI and SQL."""
