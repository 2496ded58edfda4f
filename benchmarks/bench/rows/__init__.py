"""The rows of the benchmark, each in a module of its own."""

from collections.abc import Callable

from bench.context import Context
from bench.results import Row
from bench.rows import consumer, growth, latency, pipeline, producer, start, stream

__all__ = ["DESCRIPTIONS", "ROWS"]

ROWS: dict[str, Callable[[Context], Row]] = {
    "producer": producer.measure,
    "consumer": consumer.measure,
    "stream": stream.measure,
    "latency": latency.measure,
    "pipeline": pipeline.measure,
    "growth": growth.measure,
    "start": start.measure,
}
"""Measures a row, by its name."""

DESCRIPTIONS = {
    "producer": "synthetic voters into PostgreSQL and voters_topic",
    "consumer": "ballots decided, stored and published",
    "stream": "votes tallied from a full topic",
    "latency": "from a readable vote to a readable total",
    "pipeline": "all services at once, from the first voter to the last total",
    "growth": "time and memory of each stage with more votes",
    "start": "of the demo, to the first counted vote on its page",
}
"""What a row measures, by its name."""
