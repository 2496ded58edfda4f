"""The images that can be built here."""

import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from voting_core.service.java import find_java
from voting_infra.kafka_libs import KAFKA_VERSION, resolve_kafka_libs
from voting_infra.logs import cache_directory
from voting_infra.supervisor import Supervisor

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "infra" / "images"

PACKAGES = (
    "voting-core",
    "voting-producer",
    "voting-consumer",
    "voting-stream",
    "voting-dashboard",
)

# Where Debian keeps the certificates that an administrator has added.
_LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")


def _nothing(context: Path, supervisor: Supervisor) -> None:
    """Adds nothing: the folder has all that the build needs."""


@attrs.frozen(kw_only=True)
class Image:
    """An image that can be built here.

    Attributes:
        tag: What it is called when it is built here.
        folder: Holds its Dockerfile and what that copies.
        alias: What else it is called.
        variable: By which `compose.yaml` is told to use it in place of the official image.
        arguments: Build arguments of the Dockerfile, `BASE` aside.
        complete: Adds to the build context, a copy of the folder, what the folder lacks.
    """

    tag: str
    folder: Path
    alias: str | None = None
    variable: str | None = None
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


def _add_packages(context: Path, supervisor: Supervisor) -> None:
    """Adds the packages, and the certificates that this machine trusts beside the usual ones.

    All lies in the context as it does in the repository, from which the image can be built as well.
    """
    unused = shutil.ignore_patterns("__pycache__", ".*", "tests")
    shutil.copytree(ROOT / "packages", context / "packages", ignore=unused)
    certificates = context / (FOLDER / "service" / "certificates").relative_to(ROOT)
    shutil.copytree(context / "certificates", certificates)
    for certificate in _LOCAL_CERTIFICATES.glob("*.crt"):
        shutil.copy(certificate, certificates)


def _package_image(package: str) -> Image:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())
    version = project["project"]["version"]
    return Image(
        tag=f"{package}:{version}",
        alias=f"{package}:latest",
        folder=FOLDER / "service",
        arguments={"SERVICE": package, "VERSION": version},
        complete=_add_packages,
    )


IMAGES: Mapping[str, Image] = {
    "kafka": Image(
        tag=f"voting-kafka:{KAFKA_VERSION}",
        variable="VOTING_KAFKA_IMAGE",
        folder=FOLDER / "kafka",
        complete=_add_kafka_libs,
    ),
    "postgres": Image(
        tag="voting-postgres:15", variable="VOTING_POSTGRES_IMAGE", folder=FOLDER / "postgres"
    ),
    **{package: _package_image(package) for package in PACKAGES},
}
"""All of them, by the name that `nox -s images` takes."""
