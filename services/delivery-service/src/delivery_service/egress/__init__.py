"""Requests to destinations, which customers name: guarded, bounded in time and size."""
