"""The images that can be built here."""

import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from voting_core.service.java import find_java
from voting_infra.images import KAFKA, POSTGRES, Source
from voting_infra.kafka_libs import resolve_kafka_libs
from voting_infra.supervisor import Supervisor

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVICE = ROOT / "infra" / "images" / "service"

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
    """Add nothing: the folder has all that the build needs."""


@attrs.frozen(kw_only=True)
class Image:
    """An image that can be built here.

    Attributes:
        tag: What it is called when it is built here.
        folder: Holds its Dockerfile and what that copies.
        alias: What else it is called.
        variable: Makes `compose.yaml` use it in place of the official image.
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
    """Add Kafka's jars, those that the embedded stack runs.

    Raises:
        JavaError: There is no Java to resolve them with.
        KafkaLibsError: They cannot be resolved.
    """
    libs = resolve_kafka_libs(supervisor, find_java(os.environ), os.environ)
    archives = shutil.ignore_patterns("*.jsa", "*.part")
    shutil.copytree(libs.directory, context / "libs", ignore=archives)


def _add_packages(context: Path, supervisor: Supervisor) -> None:
    """Add the packages, and the certificates that this machine trusts beside the usual ones.

    All lies in the context as it does in the repository, from which the image can be built as well.
    """
    unused = shutil.ignore_patterns("__pycache__", ".*", "tests")
    shutil.copytree(ROOT / "packages", context / "packages", ignore=unused)
    certificates = context / (SERVICE / "certificates").relative_to(ROOT)
    shutil.copytree(context / "certificates", certificates)
    for certificate in _LOCAL_CERTIFICATES.glob("*.crt"):
        shutil.copy(certificate, certificates)


def _package_image(package: str) -> Image:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())
    version = project["project"]["version"]
    return Image(
        tag=f"{package}:{version}",
        alias=f"{package}:latest",
        folder=SERVICE,
        arguments={"SERVICE": package, "VERSION": version},
        complete=_add_packages,
    )


def _server_image(source: Source, complete: Callable[[Path, Supervisor], None] = _nothing) -> Image:
    return Image(
        tag=source.built, variable=source.variable, folder=HERE / source.name, complete=complete
    )


IMAGES: Mapping[str, Image] = {
    KAFKA.name: _server_image(KAFKA, _add_kafka_libs),
    POSTGRES.name: _server_image(POSTGRES),
    **{package: _package_image(package) for package in PACKAGES},
}
"""All of them, by the name that `nox -s images` takes."""
