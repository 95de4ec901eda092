"""Outbox to effect as a person would write it by hand for one purpose, with psycopg and pika and nothing else.

The same durability as Steward's: committed outbox rows, persistent messages in a quorum queue, publisher confirms, an
inbox row and the effect in one transaction, and an acknowledgement after its commit.
"""

import json
import sys
import uuid
from typing import Any

import pika
import psycopg

BATCH = 500

OUTBOX = """
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    published_at timestamptz
);
CREATE INDEX ON outbox (seq) WHERE published_at IS NULL;
"""
INBOX = """
CREATE TABLE inbox (consumer text, event_id uuid, received_at timestamptz NOT NULL, PRIMARY KEY (consumer, event_id));
CREATE TABLE effects (event_id uuid PRIMARY KEY, subject text NOT NULL, value int NOT NULL);
"""


def fill(database: str, events: int) -> None:
    """Commit the events to publish, one row each."""
    with psycopg.connect(database) as connection:
        connection.execute(OUTBOX)
        with connection.cursor().copy("COPY outbox (event_id, type, body) FROM STDIN") as copy:
            for number in range(events):
                event_id = uuid.uuid4()
                copy.write_row((event_id, "bench.happened.v1", _body(event_id, number)))


def prepare(database: str, broker: str, queue: str) -> None:
    """Make the consumer's tables and the queue."""
    with psycopg.connect(database) as connection:
        connection.execute(INBOX)
    link = pika.BlockingConnection(pika.URLParameters(broker))
    channel = link.channel()
    channel.exchange_declare(f"{queue}.exchange", exchange_type="topic", durable=True)
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, f"{queue}.exchange", "bench.happened.v1")
    link.close()


def relay(database: str, broker: str, queue: str, events: int) -> None:
    """Publish everything, a batch of confirms in flight at a time."""
    connection = psycopg.connect(database)
    sender = _Sender(broker, f"{queue}.exchange")
    done = 0
    while done < events:
        rows = connection.execute(
            "SELECT seq, event_id, type, body FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT %s", (BATCH,)
        ).fetchall()
        connection.commit()
        sender.send(rows)
        connection.execute("UPDATE outbox SET published_at = now() WHERE seq = ANY(%s)", ([row[0] for row in rows],))
        connection.commit()
        done += len(rows)


def consume(database: str, broker: str, queue: str, events: int) -> None:
    """Take what has arrived, and commit inbox and effects together."""
    connection = psycopg.connect(database)
    link = pika.BlockingConnection(pika.URLParameters(broker))
    channel = link.channel()
    channel.basic_qos(prefetch_count=2 * BATCH)
    arrived: list[tuple[int, bytes]] = []
    channel.basic_consume(queue, lambda _, method, __, body: arrived.append((method.delivery_tag, body)))
    done = 0
    while done < events:
        link.process_data_events(time_limit=0.05)
        while arrived:
            batch, arrived[:] = arrived[:BATCH], arrived[BATCH:]
            done += _apply(connection, [json.loads(body) for _, body in batch])
            channel.basic_ack(batch[-1][0], multiple=True)
    link.process_data_events(time_limit=0)
    link.close()


def _apply(connection: psycopg.Connection[Any], events: list[dict[str, Any]]) -> int:
    fresh = connection.execute(
        "INSERT INTO inbox SELECT 'bench', id, now() FROM unnest(%s::uuid[]) AS id ON CONFLICT DO NOTHING"
        " RETURNING event_id",
        ([event["id"] for event in events],),
    ).fetchall()
    new = {str(row[0]) for row in fresh}
    chosen = [event for event in events if event["id"] in new]
    connection.execute(
        "INSERT INTO effects SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[])",
        (
            [event["id"] for event in chosen],
            [event["subject"] for event in chosen],
            [event["data"]["value"] for event in chosen],
        ),
    )
    connection.commit()
    return len(chosen)


class _Sender:
    """Pipelined confirms on the loop that pika offers for it."""

    def __init__(self, broker: str, exchange: str) -> None:
        self._exchange = exchange
        self._waiting: set[int] = set()
        self._tag = 0
        self._link = pika.BlockingConnection(pika.URLParameters(broker))
        # The blocking channel waits for each confirm; the channel inside it does not.
        self._channel = self._link.channel()._impl  # noqa: SLF001  # pika offers no other way.
        ready: list[bool] = []
        self._channel.confirm_delivery(self._confirmed, callback=lambda _: ready.append(True))
        while not ready:
            self._link.process_data_events(time_limit=0.01)

    def send(self, rows: list[Any]) -> None:
        for _, event_id, kind, body in rows:
            self._tag += 1
            self._waiting.add(self._tag)
            properties = pika.BasicProperties(
                content_type="application/cloudevents+json", delivery_mode=2, message_id=str(event_id), type=kind
            )
            self._channel.basic_publish(self._exchange, kind, body.encode(), properties, mandatory=True)
        while self._waiting:
            self._link.process_data_events(time_limit=0.01)

    def _confirmed(self, frame: Any) -> None:
        if isinstance(frame.method, pika.spec.Basic.Nack):
            raise ConnectionError("The broker refused a message.")
        if frame.method.multiple:
            self._waiting = {tag for tag in self._waiting if tag > frame.method.delivery_tag}
        else:
            self._waiting.discard(frame.method.delivery_tag)


def _body(event_id: uuid.UUID, number: int) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(event_id),
            "source": "/bench",
            "type": "bench.happened.v1",
            "subject": str(number),
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "dataschema": "/contracts/bench.happened.v1",
            "data": {"value": number},
            "correlationid": str(event_id),
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
    )


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    {"relay": relay, "consume": consume}[role](*arguments[:3], int(arguments[3]))
