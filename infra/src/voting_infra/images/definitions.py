"""The images that can be built here."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from voting_core.java import find_java
from voting_infra.kafka_libs import KAFKA_VERSION, resolve_kafka_libs
from voting_infra.logs import cache_directory
from voting_infra.supervisor import Supervisor

FOLDER = Path(__file__).parents[3] / "images"


def _nothing(context: Path, supervisor: Supervisor) -> None:
    """Adds nothing: the folder has all that the build needs."""


@attrs.frozen(kw_only=True)
class Image:
    """An image that can be built here.

    Attributes:
        tag: What it is called when it is built here.
        folder: Holds its Dockerfile and what that copies.
        arguments: Build arguments of the Dockerfile, `BASE` aside.
        complete: Adds to the build context, a copy of the folder, what the folder lacks.
    """

    tag: str
    folder: Path
    arguments: Mapping[str, str] = attrs.field(factory=dict)
    complete: Callable[[Path, Supervisor], None] = _nothing


def _add_kafka_libs(context: Path, supervisor: Supervisor) -> None:
    """Adds Kafka's jars, those that the embedded stack runs.

    Raises:
        JavaError: There is no Java to resolve them with.
        KafkaLibsError: They cannot be resolved.
    """
    settings = os.environ.get("VOTING_IVY_SETTINGS")
    libs = resolve_kafka_libs(
        supervisor, find_java(os.environ), cache_directory(), Path(settings) if settings else None
    )
    shutil.copytree(libs.directory, context / "libs", ignore=shutil.ignore_patterns("*.jsa"))


IMAGES: Mapping[str, Image] = {
    "kafka": Image(
        tag=f"voting-kafka:{KAFKA_VERSION}", folder=FOLDER / "kafka", complete=_add_kafka_libs
    ),
    "postgres": Image(tag="voting-postgres:15", folder=FOLDER / "postgres"),
}
"""All of them, by the name that `nox -s images` takes."""
