"""Archives of the classes that a Java program loads."""

from pathlib import Path

import attrs

from voting_core.service.class_archive import ClassArchive
from voting_core.service.java import Java

JAVA = Java(Path("/usr/bin/java"), 17, "17.0.1")


def recorded(archive: ClassArchive) -> Path:
    """The file that Java records an archive to."""
    option, _, path = archive.java_option.partition("=")
    assert option == "-XX:ArchiveClassesAtExit"
    return Path(path)


def test_an_archive_is_recorded_once_and_used_then(tmp_path: Path) -> None:
    """Java records it beside its place, and uses it once it has been kept."""
    missing = ClassArchive.find(tmp_path / "new", "kafka", JAVA)
    recorded(missing).write_bytes(b"classes")
    assert not missing.path.exists()
    assert missing.keep()
    found = ClassArchive.find(tmp_path / "new", "kafka", JAVA)
    assert found.java_option == f"-XX:SharedArchiveFile={missing.path}"
    assert missing.path.read_bytes() == b"classes"
    assert list(missing.path.parent.iterdir()) == [missing.path]


def test_nothing_recorded_is_nothing_kept(tmp_path: Path) -> None:
    """A Java that was killed has recorded nothing."""
    assert not ClassArchive.find(tmp_path, "kafka", JAVA).keep()
    assert list(tmp_path.iterdir()) == []


def test_two_record_at_the_same_time(tmp_path: Path) -> None:
    """Each records to a file of its own, and the last to end wins."""
    first, second = (ClassArchive.find(tmp_path, "kafka", JAVA) for _ in range(2))
    for archive, content in ((first, b"first"), (second, b"second")):
        recorded(archive).write_bytes(content)
    assert first.keep()
    assert second.keep()
    assert first.path.read_bytes() == b"second"


def test_an_archive_fits_one_java_and_one_class_path(tmp_path: Path) -> None:
    """Another program, build of Java or class path has another file."""
    paths = {
        ClassArchive.find(tmp_path, program, java, jar).path
        for program in ("kafka", "spark")
        for java in (JAVA, attrs.evolve(JAVA, build="17.0.2"))
        for jar in ("a.jar", "b.jar")
    }
    assert len(paths) == 8
