"""The process that sends: it leases destinations, claims what is due, and records what came of it."""
