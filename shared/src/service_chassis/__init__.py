"""Plumbing every Steward service runs on; contains no word of their domains."""
