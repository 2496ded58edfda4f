"""The images of the packages."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

from voting_infra import Supervisor
from voting_infra.images import BUILDER

DEFINITIONS = runpy.run_path(str(BUILDER / "definitions.py"))
IMAGES, PACKAGES, ROOT = (DEFINITIONS[name] for name in ("IMAGES", "PACKAGES", "ROOT"))
DOCKERFILE = ROOT / "infra" / "images" / "service" / "Dockerfile"


def test_every_package_has_an_image() -> None:
    """A new package gets one, and the Dockerfile knows it."""
    assert set(PACKAGES) == {path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")}
    assert set(PACKAGES) <= set(re.findall(r"^FROM \w+ AS (\S+)$", DOCKERFILE.read_text(), re.M))


@pytest.mark.parametrize("package", PACKAGES)
def test_an_image_is_called_by_its_version(package: str) -> None:
    """The tag is the package's own version, and the newest has a name that does not change."""
    image = IMAGES[package]
    version = image.arguments["VERSION"]
    assert f'version = "{version}"' in (ROOT / "packages" / package / "pyproject.toml").read_text()
    assert (image.tag, image.alias) == (f"{package}:{version}", f"{package}:latest")


def test_the_context_holds_what_is_copied(tmp_path: Path) -> None:
    """What the Dockerfile copies lies where it does in the repository, as Compose builds it."""
    image = IMAGES["voting-core"]
    context = tmp_path / "context"
    shutil.copytree(image.folder, context)
    with Supervisor(tmp_path / "logs") as supervisor:
        image.complete(context, supervisor)
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE.read_text(), re.M)
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert (context / source).exists()
    assert not list(context.rglob("__pycache__"))
