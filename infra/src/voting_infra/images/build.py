"""Building images with the engine, and finding them."""

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import docker

from voting_infra.engine import find_image, has_image
from voting_infra.exceptions import ImageError
from voting_infra.images.base import resolve_base
from voting_infra.images.definitions import Image
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

_BUILD_TIMEOUT_S = 1800


def resolve_image(
    engine: docker.DockerClient, supervisor: Supervisor, name: str, image: Image
) -> str:
    """Returns an image to use: the local one, else a pull, else one built here; logs which.

    Args:
        engine: Where it shall be.
        supervisor: Runs what building needs.
        name: What is wanted, with its tag.
        image: What has the same interface and can be built.

    Raises:
        ImageError: It cannot be built.
        StackError: What goes into it cannot be had.
    """
    if find_image(engine, name):
        return name
    if has_image(engine, image.tag):
        _log.info("image %s: in its place %s, built here before", name, image.tag)
        return image.tag
    _log.info("image %s: in its place %s, built here", name, image.tag)
    return build_image(engine, supervisor, image, resolve_base(engine, supervisor))


def build_image(
    engine: docker.DockerClient, supervisor: Supervisor, image: Image, base: str
) -> str:
    """Builds an image; what has not changed comes from the engine's cache.

    Args:
        engine: Builds it.
        supervisor: Runs what the context needs, and owns it.
        image: Which.
        base: The image to build on.

    Returns:
        Its tag.

    Raises:
        ImageError: A step fails; the message names the log of the build.
        StackError: What goes into it cannot be had.
    """
    context = supervisor.make_directory("image") / "context"
    shutil.copytree(image.folder, context)
    image.complete(context, supervisor)
    log_path = supervisor.log_dir / f"{image.tag.partition(':')[0]}.log"
    steps = engine.api.build(
        path=str(context),
        tag=image.tag,
        rm=True,
        forcerm=True,
        decode=True,
        buildargs={**image.arguments, "BASE": base},
        timeout=_BUILD_TIMEOUT_S,
    )
    if error := _follow(steps, log_path):
        raise ImageError(f"{image.tag} cannot be built: {error}; the log is {log_path}")
    return image.tag


def _follow(steps: Iterable[Mapping[str, Any]], log_path: Path) -> str | None:
    """Writes what a build says to its log; returns its error, None if it succeeds."""
    error = None
    with log_path.open("a") as log:
        for step in steps:
            log.write(step.get("stream", ""))
            error = step.get("error", error)
    return error
