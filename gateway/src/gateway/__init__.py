"""The edge of Steward: the only part the outside reaches."""
