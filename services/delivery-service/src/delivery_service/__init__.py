"""Mails reach the people they are for, and whoever asked for one learns what became of it."""
