"""The checkpoint: where it is, and that one driver at a time holds it."""

import fcntl
from pathlib import Path

import attrs
import pytest
from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_core.service.java import Java
from voting_stream import session
from voting_stream.class_archive import find_archive
from voting_stream.session import checkpoint_of, hold_checkpoint, is_submitted
from voting_stream.settings import StreamSettings


@pytest.mark.parametrize(
    ("root", "checkpoint"),
    [
        ("/var/voting", "/var/voting/ID"),
        ("/var/voting/", "/var/voting/ID"),
        ("s3a://bucket/voting", "s3a://bucket/voting/ID"),
    ],
)
def test_the_checkpoint_lies_under_the_topics_id(root: str, checkpoint: str) -> None:
    """A recreated votes_topic gets a directory of its own, on any kind of storage."""
    assert checkpoint_of(StreamSettings(checkpoint=root), "ID") == checkpoint


def test_a_relative_checkpoint_is_one_of_this_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Spark's Java must not be left to guess what it is relative to."""
    monkeypatch.chdir(tmp_path)
    assert checkpoint_of(StreamSettings(checkpoint="here"), "ID") == f"{tmp_path}/here/ID"


def test_a_held_checkpoint_is_locked_for_others(spark: SparkSession, tmp_path: Path) -> None:
    """While the driver lives nobody else gets its lock."""
    lock = hold_checkpoint(spark, f"{tmp_path}/new/ID")
    with (tmp_path / "new" / "ID.lock").open("r+") as file, pytest.raises(BlockingIOError):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.release()


def test_a_second_driver_gives_up(
    monkeypatch: pytest.MonkeyPatch, spark: SparkSession, tmp_path: Path
) -> None:
    """With the checkpoint in another process's hands it waits, then says so."""
    monkeypatch.setattr(session, "LOCK_SECONDS", 0.5)
    with (tmp_path / "ID.lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(FatalError, match=f"another voting-stream uses .*{tmp_path}/ID"):
            hold_checkpoint(spark, f"{tmp_path}/ID")


def test_remote_storage_has_no_lock_file(spark: SparkSession) -> None:
    """On an object store there is no lock to take."""
    assert hold_checkpoint(spark, "s3a://bucket/voting/ID") is None


def test_the_master_is_that_of_spark_submit() -> None:
    """What spark-submit runs has been given a connection to its Java, and nothing else has."""
    assert is_submitted({"PYSPARK_GATEWAY_PORT": "25333"})
    assert not is_submitted({"SPARK_HOME": "/opt/spark"})


JAVA = Java(Path("/usr/bin/java"), 17, "17.0.1")


def test_a_class_archive_fits_one_java_and_one_connector(tmp_path: Path) -> None:
    """Another build of Java, or another connector, looks for another file."""
    names = {
        find_archive(tmp_path, java, package).path.name
        for java in (JAVA, attrs.evolve(JAVA, build="17.0.2"))
        for package in ("a:b:1", "a:b:2")
    }
    assert len(names) == 4


def test_a_class_archive_is_recorded_once_and_used_then(tmp_path: Path) -> None:
    """Java is told to record the archive beside its place, and to use it once it is there."""
    missing = find_archive(tmp_path / "new", JAVA, "")
    assert missing.java_option.startswith(f"-XX:ArchiveClassesAtExit={tmp_path}/new/spark-")
    assert str(missing.path) not in missing.java_option
    Path(missing.java_option.partition("=")[2]).touch()
    assert missing.keep()
    found = find_archive(tmp_path / "new", JAVA, "")
    assert found.java_option == f"-XX:SharedArchiveFile={missing.path}"
