"""From a URL to the broker behind it."""

from service_chassis.messaging.broker import Broker


def connect(url: str, *, name: str) -> Broker:
    """Return the broker of `amqp://`, `amqps://` or `sqlite:///`."""
    # Each import brings a whole client library; a process needs one of them.
    if url.startswith("sqlite:"):
        from service_chassis.messaging.sqlite_broker import SqliteBroker

        return SqliteBroker(url)
    if url.startswith(("amqp://", "amqps://")):
        from service_chassis.messaging.rabbitmq import RabbitMQ

        return RabbitMQ(url, name=name)
    raise ValueError("A broker URL starts with amqp://, amqps:// or sqlite:///.")
