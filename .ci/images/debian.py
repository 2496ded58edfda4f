"""The Debian image that all others are built on."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

import docker

from voting_infra.engine import FoundImage, engine_errors, fetch_image, has_image
from voting_infra.exceptions import ImageError
from voting_infra.logs import tail
from voting_infra.processes import Command
from voting_infra.supervisor import Supervisor

_log = logging.getLogger("images")

DEBIAN = "debian:bookworm-slim"
"""The base of every Dockerfile here, by default."""

_BUILT = "voting-debian:bookworm"
_SUITE = "bookworm"
_DEBOOTSTRAP_TIMEOUT_S = 900.0

# What a container never reads, or would read outdated.
_LEFT_OUT = (
    "./dev/*",
    "./var/cache/apt/*.bin",
    "./var/cache/apt/archives/*.deb",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
)


def resolve_base(engine: docker.DockerClient, supervisor: Supervisor) -> FoundImage:
    """Return the base image: the local one, else a pull, else one built here.

    Args:
        engine: Holds it.
        supervisor: Runs what builds it.

    Raises:
        ImageError: It can be had in none of these ways; the message names what to install.
        EngineError: The engine refuses what was built.
    """
    try:
        return fetch_image(engine, DEBIAN)
    except ImageError as error:
        if not has_image(engine, _BUILT):
            _check_tools(error)
            _log.info("%s; building %s from Debian's packages", error, _BUILT)
            with engine_errors(f"{_BUILT} cannot be built"):
                _import(engine, _debootstrap(supervisor))
    return FoundImage(_BUILT, f"built here, in place of {DEBIAN}")


def _check_tools(error: ImageError) -> None:
    if shutil.which("debootstrap") is None:
        raise ImageError(
            f"{error}, and building {_BUILT} needs debootstrap:"
            " install it (Debian: apt install debootstrap)"
        ) from error
    if os.geteuid() != 0:
        raise ImageError(
            f"{error}, and building {_BUILT} needs root: run `nox -s images` as root, once"
        ) from error


def _debootstrap(supervisor: Supervisor) -> Path:
    """Unpack a minimal system into a temporary directory."""
    # Only this user may enter its parent; the system's own root must be open to all.
    root = supervisor.make_directory("debian") / "root"
    # The mounts that it makes end with their namespace, even if it is killed.
    argv: list[str | Path] = ["unshare", "--mount"]
    argv += ["debootstrap", "--variant=minbase", _SUITE, root]
    log_path = supervisor.log_dir / "debootstrap.log"
    child = supervisor.start(Command(name="debootstrap", argv=argv, log_path=log_path))
    if child.wait(_DEBOOTSTRAP_TIMEOUT_S):
        raise ImageError(
            f"{_BUILT} cannot be built; the log {log_path} ends with:\n{tail(log_path)}"
        )
    return root


def _import(engine: docker.DockerClient, root: Path) -> None:
    excluded = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    argv = ["tar", "--create", "--numeric-owner", f"--directory={root}", *excluded, "."]
    repository, _, tag = _BUILT.partition(":")
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as tar:
        engine.api.import_image(
            tar.stdout, repository, tag, changes=['CMD ["bash"]'], stream_src=True
        )
    if tar.returncode:
        engine.images.remove(_BUILT)
        raise ImageError(f"{_BUILT} cannot be packed: tar has failed with {tar.returncode}")
