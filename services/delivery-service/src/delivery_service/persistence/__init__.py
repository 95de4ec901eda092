"""Repositories: every query of the service."""
