"""The event backbone: envelope, outbox and relay, broker adapters, consumer and inbox, failed messages."""
