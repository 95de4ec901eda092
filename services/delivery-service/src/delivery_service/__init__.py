"""Destinations, deliveries, and mails and pushes out."""
