"""A class data archive, with which Java starts Kafka in half the time (JEP 350)."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import attrs

from voting_core.service.java import Java
from voting_infra.exceptions import ChildError
from voting_infra.kafka import EmbeddedKafka
from voting_infra.kafka_libs import KafkaLibs, resolve_kafka_libs
from voting_infra.logs import cache_directory
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

_RECORD_TIMEOUT_S = 120.0


def prepare_kafka_libs(supervisor: Supervisor, java: Java, environ: Mapping[str, str]) -> KafkaLibs:
    """Returns the jars of a Kafka server in the user's cache, with an archive of their classes.

    Args:
        supervisor: Runs what resolves and records them, where they are not there yet.
        java: Runs it too.
        environ: Where `VOTING_IVY_SETTINGS` (an Ivy settings file) is looked up.

    Raises:
        KafkaLibsError: They cannot be resolved.
    """
    settings = environ.get("VOTING_IVY_SETTINGS")
    libs = resolve_kafka_libs(
        supervisor, java, cache_directory(), Path(settings) if settings else None
    )
    return with_class_archive(supervisor, java, libs)


def with_class_archive(supervisor: Supervisor, java: Java, libs: KafkaLibs) -> KafkaLibs:
    """Adds an archive to the jars, recorded once for each build of Java.

    To record one, a Kafka is started and stopped, which takes some ten seconds. It is only about
    speed: if it fails, the jars stay without.

    Args:
        supervisor: Runs that Kafka.
        java: Whose archive it is; another build cannot use it.
        libs: The jars.
    """
    build = hashlib.sha256(f"{java.path.resolve()}\n{java.build}".encode()).hexdigest()[:8]
    archive = libs.directory / f"classes-{build}.jsa"
    if not archive.exists():
        _log.info("recording %s, once, for faster starts of Kafka", archive)
        try:
            _record(supervisor, java, libs, archive)
        except ChildError as error:
            _log.warning("Kafka will start slowly: %s", error)
            return libs
    return attrs.evolve(libs, archive=archive)


def _record(supervisor: Supervisor, java: Java, libs: KafkaLibs, archive: Path) -> None:
    # Beside its final place, so that it gets there whole, by a rename.
    recorded = supervisor.make_directory("recording", parent=libs.directory) / archive.name
    kafka = EmbeddedKafka(supervisor, java, libs, record_archive=recorded)
    kafka.start_on_free_ports()
    kafka.stop(_RECORD_TIMEOUT_S)
    if not recorded.exists():
        raise ChildError(kafka.name, "has left no class data archive", kafka.log_path)
    recorded.rename(archive)
