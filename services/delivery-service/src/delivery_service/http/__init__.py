"""Blueprints and schemas; no rules."""
