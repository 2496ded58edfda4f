"""The images that a stack of containers runs, and where they come from."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs
import docker

from voting_infra.engine import FoundImage, fetch_image, has_image, open_engine
from voting_infra.exceptions import ImageError
from voting_infra.kafka_libs import KAFKA_VERSION

BUILDER = Path(__file__).parents[3] / ".ci" / "images"
"""Builds the images of a machine that can pull none; see its `__main__.py`."""


@attrs.frozen
class Source:
    """Where an image comes from.

    Attributes:
        variable: Names the image to use, in the environment.
        official: Its name otherwise.
        name: What `nox -s images` calls the one with the same interface that it builds.
        built: That image's tag.
    """

    variable: str
    official: str
    name: str
    built: str


KAFKA = Source(
    "VOTING_KAFKA_IMAGE", f"apache/kafka:{KAFKA_VERSION}", "kafka", f"voting-kafka:{KAFKA_VERSION}"
)
POSTGRES = Source("VOTING_POSTGRES_IMAGE", "postgres:18", "postgres", "voting-postgres:15")


@attrs.frozen
class StackImages:
    """The images of a stack.

    Attributes:
        kafka: Has the interface of `apache/kafka`.
        postgres: Has the interface of `postgres`.
    """

    kafka: FoundImage
    postgres: FoundImage

    def __str__(self) -> str:
        return f"{self.kafka} and {self.postgres}"


def find_images(environ: Mapping[str, str], *, build: bool = False) -> StackImages:
    """Return the images of a stack, as `find_image` does.

    Args:
        environ: Where the variables that name images are looked up.
        build: Whether to build those that are missing.

    Raises:
        EngineError: The engine is unreachable.
        ImageError: An image is missing, or cannot be built.
    """

    def find(source: Source) -> FoundImage:
        wanted = environ.get(source.variable) or source.official
        return find_image(engine, wanted, source, build=build)

    with open_engine() as engine:
        return StackImages(find(KAFKA), find(POSTGRES))


def find_image(
    engine: docker.DockerClient, wanted: str, source: Source, *, build: bool = False
) -> FoundImage:
    """Return an image to use: the local one, else a pull, else the one that was built here.

    Args:
        engine: Has it.
        wanted: Its name, with its tag.
        source: What can replace it.
        build: Whether to build that if it is missing.

    Raises:
        ImageError: It is missing, or cannot be built.
    """
    try:
        return fetch_image(engine, wanted)
    except ImageError:
        if not has_image(engine, source.built):
            if not build:
                raise
            build_images(source.name)
    return FoundImage(source.built, f"built here, in place of {wanted}")


def build_images(*names: str) -> None:
    """Build images as `nox -s images` does, which prints its progress.

    Raises:
        ImageError: One cannot be built.
    """
    done = subprocess.run(
        [sys.executable, BUILDER, "--no-compose", *names],
        stdout=2,  # this command's own output may be for a shell to read
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ImageError(f"{' and '.join(names)} cannot be built: {done.stderr.strip()}")
