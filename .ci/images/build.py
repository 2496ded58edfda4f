"""Building an image with the engine."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import docker
from definitions import Image

from voting_infra.engine import FoundImage, engine_errors
from voting_infra.exceptions import ImageError
from voting_infra.logs import tail
from voting_infra.supervisor import Supervisor

_BUILD_TIMEOUT_S = 1800


def build_image(
    engine: docker.DockerClient, supervisor: Supervisor, image: Image, base: FoundImage
) -> None:
    """Build an image; what has not changed comes from the engine's cache.

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
    """Write the output of a build to its log and return its error, None if it succeeds."""
    error = None
    with log_path.open("a") as log:
        for step in steps:
            log.write(step.get("stream", ""))
            error = step.get("error", error)
    return error
