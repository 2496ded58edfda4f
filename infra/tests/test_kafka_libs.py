"""Resolving Kafka's artifacts, with a Java that only pretends to."""

from pathlib import Path

import pytest

from voting_core.service.java import Java
from voting_infra import KafkaLibsError, Supervisor
from voting_infra.kafka_libs import resolve_kafka_libs

# Makes a jar where Ivy's -retrieve points.
RETRIEVE = """
while [ "$1" != -retrieve ]; do shift; done
libs=$(dirname "$2")
mkdir "$libs" && touch "$libs/kafka_2.13.jar"
"""


def pretend(tmp_path: Path, script: str) -> Java:
    """Make a java that is a shell script."""
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Java(program, 17, "")


def test_resolved_once(tmp_path: Path, supervisor: Supervisor) -> None:
    """The second call finds what the first has put into the cache."""
    cache = tmp_path / "cache"
    first = resolve_kafka_libs(supervisor, pretend(tmp_path, RETRIEVE), {}, cache)
    assert first.class_path == str(first.directory / "kafka_2.13.jar")
    assert resolve_kafka_libs(supervisor, pretend(tmp_path, "exit 1"), {}, cache) == first


@pytest.mark.parametrize("script", [f"{RETRIEVE}\nexit 1", "echo no answer", "kill -9 $$"])
def test_a_failure_leaves_nothing(tmp_path: Path, script: str) -> None:
    """A resolver that fails, or brings no Kafka, is an error and leaves the cache empty."""
    cache = tmp_path / "cache"
    with (
        Supervisor(tmp_path / "logs") as supervisor,
        pytest.raises(KafkaLibsError, match=r"ivy\.log"),
    ):
        resolve_kafka_libs(supervisor, pretend(tmp_path, script), {}, cache)
    assert list(cache.iterdir()) == []


def test_two_at_once(tmp_path: Path, supervisor: Supervisor) -> None:
    """The second to finish takes what the first has put into the cache."""
    cache = tmp_path / "cache"
    first = resolve_kafka_libs(supervisor, pretend(tmp_path, RETRIEVE), {}, cache).directory
    hidden = cache / "hidden"
    first.rename(hidden)
    # The other one publishes its libs while this resolver runs.
    script = f"{RETRIEVE}\nmv {hidden} {first}"
    second = resolve_kafka_libs(supervisor, pretend(tmp_path, script), {}, cache)
    assert second.directory == first
    assert list(cache.glob("kafka-*")) == [first]
