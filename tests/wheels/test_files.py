"""The contents of the wheels and source distributions."""

import configparser
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.metadata import Metadata
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from wheels.environments import PACKAGES, ROOT, SERVICES, UV, outside_environment, sdist, wheel

DATA = {
    "voting-core": "voting_core/database/migrations/0001_election.sql",
    "voting-dashboard": "voting_dashboard/page.py",
}


def project(package: str) -> dict[str, Any]:
    """The table `[project]` of a package."""
    text = (ROOT / "packages" / package / "pyproject.toml").read_text()
    return dict(tomllib.loads(text)["project"])


def sources(package: str) -> dict[str, bytes]:
    """The files of a package's `src` folder."""
    src = ROOT / "packages" / package / "src"
    return {
        file.relative_to(src).as_posix(): file.read_bytes()
        for file in src.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def unzip(file: Path) -> dict[str, bytes]:
    """The files of a wheel."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def untar(file: Path) -> dict[str, bytes]:
    """The files of a source distribution, without the folder that holds them all."""
    with tarfile.open(file) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {
            member.name.partition("/")[2]: opened.read()
            for member in members
            if (opened := archive.extractfile(member)) is not None
        }


def metadata_of_wheel(files: dict[str, bytes]) -> bytes:
    """The text of a wheel's METADATA."""
    (name,) = (name for name in files if name.endswith(".dist-info/METADATA"))
    return files[name]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_metadata_is_plain(package: str) -> None:
    """It is valid, and its requirements are version ranges only."""
    declared = project(package)
    metadata = Metadata.from_email(metadata_of_wheel(unzip(wheel(package))), validate=True)
    assert metadata.name == package
    assert str(metadata.version) == declared["version"]
    assert metadata.license_expression == "MIT"
    assert metadata.license_files == ["LICENSE"]
    assert metadata.description is not None
    readme = (ROOT / "packages" / package / "README.md").read_text()
    assert metadata.description.strip() == readme.strip()
    needed = metadata.requires_dist or []
    assert len(needed) == len(declared["dependencies"])
    for requirement in needed:
        assert requirement.url is None, requirement
        assert requirement.specifier, f"{requirement} takes any version"
    ours = {requirement.name for requirement in needed} & set(PACKAGES)
    assert ours == ({"voting-core"} if package in SERVICES else set())


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_the_whole_package(package: str) -> None:
    """Every source and data file, the type marker, the licence, the scripts, and nothing else."""
    files = unzip(wheel(package))
    held = {name: content for name, content in files.items() if ".dist-info/" not in name}
    assert held == sources(package)
    assert f"{package.replace('-', '_')}/py.typed" in held
    assert DATA.get(package, f"{package.replace('-', '_')}/__init__.py") in held
    information = {
        name.partition("/")[2]: content for name, content in files.items() if ".dist-info/" in name
    }
    assert information["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    scripts = configparser.ConfigParser()
    scripts.read_string(information["entry_points.txt"].decode())
    assert dict(scripts["console_scripts"]) == project(package)["scripts"]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_source_distribution_builds_the_same_wheel(package: str, tmp_path: Path) -> None:
    """Built from it alone, without its siblings, the wheel equals the one in dist/."""
    files = untar(sdist(package))
    assert files["LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert files["PKG-INFO"] == metadata_of_wheel(unzip(wheel(package)))
    done = subprocess.run(
        [UV, "build", "--quiet", "--wheel", f"--out-dir={tmp_path}", sdist(package)],
        cwd=tmp_path,
        env=outside_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (again,) = tmp_path.glob("*.whl")
    assert again.name == wheel(package).name
    assert unzip(again) == unzip(wheel(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_file_names_contain_the_version(package: str) -> None:
    """Name and version are those of the package; the wheel runs on any platform."""
    name, version, _, tags = parse_wheel_filename(wheel(package).name)
    assert (name, str(version)) == (package, project(package)["version"])
    assert {str(tag) for tag in tags} == {"py3-none-any"}
    assert parse_sdist_filename(sdist(package).name) == (name, version)
