"""Removing containers, also for the reaper, which runs this module with their names."""

import sys

import docker
from docker.errors import APIError, NotFound

from voting_infra.engine import engine_errors, open_engine


def remove_container(engine: docker.DockerClient, name: str) -> None:
    """Removes a container, running or not, with its anonymous volumes.

    Args:
        engine: Where it is.
        name: Of a container that need not exist.

    Raises:
        EngineError: It cannot be removed.
    """
    with engine_errors(f"the container {name} cannot be removed"):
        try:
            engine.api.remove_container(name, v=True, force=True)
        except NotFound:
            return
        except APIError as error:
            # Somebody else, such as Ryuk, is at it.
            if error.status_code != 409:
                raise


if __name__ == "__main__":
    with open_engine() as client:
        for argument in sys.argv[1:]:
            remove_container(client, argument)
