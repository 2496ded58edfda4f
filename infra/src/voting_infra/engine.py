"""The Docker engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import docker
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException
from testcontainers.core.docker_client import DockerClient, get_docker_host

from voting_infra.exceptions import EngineError, ImageError


@attrs.frozen
class FoundImage:
    """An image that is there.

    Attributes:
        name: What it is called, with its tag.
        origin: Where it comes from, in a few words.
    """

    name: str
    origin: str

    def __str__(self) -> str:
        return f"{self.name} ({self.origin})"


@contextmanager
def open_engine() -> Iterator[docker.DockerClient]:
    """Connect to the engine that testcontainers uses, and close the connection in the end.

    Raises:
        EngineError: It is unreachable; the message names its address.
    """
    address = get_docker_host() or DEFAULT_UNIX_SOCKET.removeprefix("http+")
    try:
        client = DockerClient().client
    except DockerException as error:
        raise EngineError(
            f"no Docker engine answers at {address} ({reason(error)});"
            " start one, or name another in DOCKER_HOST"
        ) from error
    try:
        yield client
    finally:
        client.close()


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn an error of the engine's client into an `EngineError` that begins with `what`."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise EngineError(f"{what}: {reason(error)}") from error


def fetch_image(engine: docker.DockerClient, name: str) -> FoundImage:
    """Return an image by its name with its tag: the local one, else a pull.

    Raises:
        ImageError: It is not there and cannot be pulled.
    """
    if has_image(engine, name):
        return FoundImage(name, "the local one")
    try:
        engine.images.pull(name)
    except (APIError, RequestException) as error:
        raise ImageError(
            f"the image {name} is not here and cannot be pulled ({reason(error)})"
        ) from error
    return FoundImage(name, "pulled")


def has_image(engine: docker.DockerClient, name: str) -> bool:
    """Return whether an image is there without a pull."""
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def reason(error: Exception) -> str:
    """Return why a request failed, in one line, without what the client's layers wrap around it."""
    if isinstance(error, APIError) and error.explanation:
        return " ".join(str(error.explanation).split())
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(cause).split()) or type(cause).__name__
