"""What the service does, a module per capability; each takes a unit of work and plain values."""
