"""The event backbone on PostgreSQL and RabbitMQ: throughput beside the hand-written pipeline, and latency."""

import statistics
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from bench import backbone_process, harness
from bench.peers import pipeline

PEER_MINIMUM = 5_000
"""Events per second below which the peer, and with it the run, says nothing."""


def run(events: int, rate: int, seconds: int) -> dict[str, Any]:
    """Measure peer, Steward, and Steward's latency at a steady rate, in this order, in one run."""
    with harness.servers() as servers:
        broker = servers.rabbitmq.url
        databases = [servers.postgres.create_database("bench") for _ in range(6)]
        peer = _peer(databases[0], databases[1], broker, events)
        ours = _ours(databases[2], databases[3], f"{broker}?namespace={harness.unique('bench')}", events)
        latency = _latency(databases[4], databases[5], f"{broker}?namespace={harness.unique('bench')}", rate, seconds)
        for database in databases:
            servers.postgres.drop_database(database)
    return {
        "events": events,
        "peer_events_per_second": round(peer),
        "peer_valid": peer >= PEER_MINIMUM,
        "steward_events_per_second": round(ours["rate"]),
        "ratio": round(ours["rate"] / peer, 2),
        "limit": ">= 0.6 of the peer",
        "peak_rss_mb": ours["rss"],
        "latency_ms_at_rate": {"events_per_second": rate, **latency, "limit": "p50 <= 20, p99 <= 100"},
    }


def _peer(source: str, target: str, broker: str, events: int) -> float:
    queue = harness.unique("peer")
    pipeline.fill(source, events)
    pipeline.prepare(target, broker, queue)
    started = time.monotonic()
    consumer = harness.python("-m", "bench.peers.pipeline", "consume", target, broker, queue, str(events))
    relay = harness.python("-m", "bench.peers.pipeline", "relay", source, broker, queue, str(events))
    _ended(relay, consumer)
    return events / (time.monotonic() - started)


def _ours(source: str, target: str, broker: str, events: int) -> dict[str, Any]:
    backbone_process.fill(source, events)
    backbone_process.prepare(target, broker)
    started = time.monotonic()
    consumer = harness.python("-m", "bench.backbone_process", "consume", target, broker)
    relay = harness.python("-m", "bench.backbone_process", "relay", source, broker)
    with psycopg.connect(target, autocommit=True) as connection:
        harness.wait_for(lambda: _effects(connection) >= events, within=600, alive=(relay, consumer))
    rate = events / (time.monotonic() - started)
    rss = {"relay": harness.peak_rss_mb(relay.pid), "consumer": harness.peak_rss_mb(consumer.pid)}
    _stopped(relay, consumer)
    return {"rate": rate, "rss": rss}


def _latency(source: str, target: str, broker: str, rate: int, seconds: int) -> dict[str, float]:
    backbone_process.fill(source, 0)
    backbone_process.prepare(target, broker)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "times"
        consumer = harness.python("-m", "bench.backbone_process", "consume", target, broker, str(file))
        relay = harness.python("-m", "bench.backbone_process", "relay", source, broker)
        with psycopg.connect(target, autocommit=True) as connection:
            backbone_process.emit(source, rate=50, seconds=2)
            harness.wait_for(lambda: _effects(connection) >= 100, within=60, alive=(relay, consumer))
            committed = backbone_process.emit(source, rate, seconds)
            harness.wait_for(lambda: _effects(connection) >= 100 + rate * seconds, within=60, alive=(relay, consumer))
        _stopped(relay, consumer)
        effects = [line.split() for line in file.read_text().splitlines()[100:]]
    latencies = sorted(float(at) - committed[int(value)] for value, at in effects)
    return {
        "p50": round(statistics.median(latencies) * 1000, 1),
        "p99": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        "max": round(latencies[-1] * 1000, 1),
    }


def _effects(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM effects").fetchone()
    return int(row[0]) if row else 0


def _ended(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        if process.wait(600) != 0:
            raise RuntimeError("A process of the benchmark failed.")


def _stopped(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)
