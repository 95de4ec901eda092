"""Inactive users are planned for, switched off through user-service, and reported; nothing is done blindly."""
