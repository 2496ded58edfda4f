"""Building images with the engine, and finding them."""

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import docker

from voting_infra.engine import FoundImage, engine_errors, fetch_image, has_image
from voting_infra.exceptions import ImageError
from voting_infra.images.base import resolve_base
from voting_infra.images.definitions import Image
from voting_infra.logs import tail
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

_BUILD_TIMEOUT_S = 1800


def find_image(engine: docker.DockerClient, wanted: str, image: Image) -> FoundImage:
    """Returns an image to use: the local one, else a pull, else one that was built here.

    Args:
        engine: Where it shall be.
        wanted: Its name, with its tag.
        image: What has the same interface and may have been built.

    Raises:
        ImageError: There is none.
    """
    try:
        return fetch_image(engine, wanted)
    except ImageError:
        if not has_image(engine, image.tag):
            raise
    return FoundImage(image.tag, f"built here, in place of {wanted}")


def resolve_image(
    engine: docker.DockerClient, supervisor: Supervisor, wanted: str, image: Image
) -> FoundImage:
    """Returns an image to use as `find_image` does, and builds it where there is none.

    Args:
        engine: Where it shall be.
        supervisor: Runs what building needs.
        wanted: Its name, with its tag.
        image: What has the same interface and can be built.

    Raises:
        StackError: It cannot be built, or what goes into it cannot be had.
        JavaError: There is no Java to have it with.
    """
    try:
        return find_image(engine, wanted, image)
    except ImageError as error:
        _log.info("%s; building %s", error, image.tag)
    build_image(engine, supervisor, image, resolve_base(engine, supervisor))
    return find_image(engine, wanted, image)


def build_image(
    engine: docker.DockerClient, supervisor: Supervisor, image: Image, base: FoundImage
) -> None:
    """Builds an image; what has not changed comes from the engine's cache.

    Args:
        engine: Builds it.
        supervisor: Runs what the context needs, and owns it.
        image: Which.
        base: The image to build on.

    Raises:
        ImageError: A step fails; the message names the log of the build.
        StackError: What goes into it cannot be had.
        JavaError: There is no Java to have it with.
    """
    context = supervisor.make_directory("image") / "context"
    shutil.copytree(image.folder, context)
    image.complete(context, supervisor)
    log_path = supervisor.log_dir / f"{image.tag.replace(':', '-')}.log"
    with engine_errors(f"{image.tag} cannot be built"):
        steps = engine.api.build(
            path=str(context),
            tag=image.tag,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs={**image.arguments, "BASE": base.name},
            timeout=_BUILD_TIMEOUT_S,
        )
        error = _follow(steps, log_path)
    if error is not None:
        raise ImageError(
            f"{image.tag} cannot be built: {error}; the log {log_path} ends with:\n"
            + tail(log_path)
        )
    if image.alias is not None:
        engine.images.get(image.tag).tag(image.alias)


def _follow(steps: Iterable[Mapping[str, Any]], log_path: Path) -> str | None:
    """Writes what a build says to its log; returns its error, None if it succeeds."""
    error = None
    with log_path.open("a") as log:
        for step in steps:
            log.write(step.get("stream", ""))
            error = step.get("error", error)
    return error
