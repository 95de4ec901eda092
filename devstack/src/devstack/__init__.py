"""Steward on one machine; the only package that knows every service."""
