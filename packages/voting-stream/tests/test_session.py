"""The checkpoint: its directory and its lock."""

import fcntl
from pathlib import Path

import attrs
import pytest
from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_core.service.java import Java
from voting_stream import session
from voting_stream.class_archive import find_archive
from voting_stream.session import checkpoint_path, is_submitted, lock_checkpoint
from voting_stream.settings import StreamSettings


@pytest.mark.parametrize(
    ("root", "checkpoint"),
    [
        ("/var/voting", "/var/voting/ID"),
        ("/var/voting/", "/var/voting/ID"),
        ("s3a://bucket/voting", "s3a://bucket/voting/ID"),
    ],
)
def test_the_checkpoint_is_named_after_the_topics_id(root: str, checkpoint: str) -> None:
    """A recreated votes_topic gets another directory, on any kind of storage."""
    assert checkpoint_path(StreamSettings(checkpoint=root), "ID") == checkpoint


def test_a_relative_checkpoint_is_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Spark's Java gets an absolute path, because it may have another working directory."""
    monkeypatch.chdir(tmp_path)
    assert checkpoint_path(StreamSettings(checkpoint="here"), "ID") == f"{tmp_path}/here/ID"


def test_a_locked_checkpoint_is_locked_for_others(spark: SparkSession, tmp_path: Path) -> None:
    """Another process cannot take the lock while the driver runs."""
    lock = lock_checkpoint(spark, f"{tmp_path}/new/ID")
    with (tmp_path / "new" / "ID.lock").open("r+") as file, pytest.raises(BlockingIOError):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.release()


def test_a_second_driver_gives_up(
    monkeypatch: pytest.MonkeyPatch, spark: SparkSession, tmp_path: Path
) -> None:
    """While another process holds the lock it waits, then fails with the checkpoint's path."""
    monkeypatch.setattr(session, "LOCK_SECONDS", 0.5)
    with (tmp_path / "ID.lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(FatalError, match=f"another voting-stream uses .*{tmp_path}/ID"):
            lock_checkpoint(spark, f"{tmp_path}/ID")


def test_remote_storage_has_no_lock_file(spark: SparkSession) -> None:
    """On object storage there is no lock."""
    assert lock_checkpoint(spark, "s3a://bucket/voting/ID") is None


def test_the_master_is_that_of_spark_submit() -> None:
    """spark-submit passes the port of its Java to the program that it runs."""
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
    """The options let Java record the archive beside its place, and use it once it exists."""
    missing = find_archive(tmp_path / "new", JAVA, "")
    assert missing.java_option.startswith(f"-XX:ArchiveClassesAtExit={tmp_path}/new/spark-")
    assert str(missing.path) not in missing.java_option
    Path(missing.java_option.partition("=")[2]).touch()
    assert missing.keep()
    found = find_archive(tmp_path / "new", JAVA, "")
    assert found.java_option == f"-XX:SharedArchiveFile={missing.path}"
