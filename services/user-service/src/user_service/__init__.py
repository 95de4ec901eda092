"""Identity, sessions and accounts: the only service that changes a user."""
