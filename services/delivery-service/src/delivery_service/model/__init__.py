"""Entities and rules; no input or output."""
