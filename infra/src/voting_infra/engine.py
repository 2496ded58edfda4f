"""The Docker engine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException
from testcontainers.core.docker_client import DockerClient, get_docker_host

from voting_infra.exceptions import EngineError

_log = logging.getLogger(__name__)


@contextmanager
def open_engine() -> Iterator[docker.DockerClient]:
    """Connects to the engine that testcontainers uses, and closes the connection in the end.

    Raises:
        EngineError: None answers; the message names its address.
    """
    address = get_docker_host() or DEFAULT_UNIX_SOCKET.removeprefix("http+")
    try:
        client = DockerClient().client
    except DockerException as error:
        raise EngineError(
            f"no Docker engine answers at {address} ({_reason(error)});"
            " start one, or name another in DOCKER_HOST"
        ) from error
    try:
        yield client
    finally:
        client.close()


def find_image(engine: docker.DockerClient, name: str) -> bool:
    """Makes an image usable if it can: the local one, else a pull; logs which.

    Args:
        engine: Where.
        name: Of the image, with its tag.

    Returns:
        Whether it is there now.
    """
    if has_image(engine, name):
        _log.info("image %s: the local one", name)
        return True
    try:
        engine.images.pull(name)
    except (APIError, RequestException) as error:
        _log.info("image %s: not here, and not to be pulled (%s)", name, _reason(error))
        return False
    _log.info("image %s: pulled", name)
    return True


def has_image(engine: docker.DockerClient, name: str) -> bool:
    """Tells whether an image is there without a pull."""
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def _reason(error: Exception) -> str:
    """Returns the innermost cause in one line, without the wrapping of the layers above it."""
    if isinstance(error, APIError) and error.explanation:
        return " ".join(str(error.explanation).split())
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(cause).split()) or type(cause).__name__
