"""Kafka's own artifacts and what they need, resolved once into the user's cache."""

import errno
import hashlib
import importlib.util
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from voting_core.service.java import QUIET_OPTIONS, Java
from voting_infra.exceptions import ChildTimeout, KafkaLibsError
from voting_infra.logs import cache_directory, tail
from voting_infra.processes import Command
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

KAFKA_VERSION = "4.1.1"

# Kafka logs through SLF4J 1.7 and names no implementation; without one its log stays empty.
_IVY_MODULE = f"""\
<ivy-module version="2.0">
  <info organisation="voting" module="kafka-server"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
    <dependency org="org.apache.kafka" name="kafka_2.13" rev="{KAFKA_VERSION}"
                conf="default->default"/>
    <!-- The command line tools; what they need is there already. -->
    <dependency org="org.apache.kafka" name="kafka-tools" rev="{KAFKA_VERSION}"
                conf="default->master"/>
    <dependency org="org.apache.logging.log4j" name="log4j-slf4j-impl" rev="2.24.3"
                conf="default->default"/>
  </dependencies>
</ivy-module>
"""
_RESOLVE_TIMEOUT_S = 900.0


@attrs.frozen
class KafkaLibs:
    """All jars of a Kafka server.

    Attributes:
        directory: Where they are.
    """

    directory: Path

    @property
    def class_path(self) -> str:
        """The jars as a class path, in an order that a class-data archive can rely on."""
        return os.pathsep.join(str(jar) for jar in sorted(self.directory.glob("*.jar")))


def resolve_kafka_libs(
    supervisor: Supervisor,
    java: Java,
    environ: Mapping[str, str],
    cache: Path | None = None,
) -> KafkaLibs:
    """Return all jars of a Kafka server.

    The first call downloads some 45 MB; later ones find them in the cache. What is interrupted
    leaves nothing in the cache, and of several calls at once the first to finish wins.

    Args:
        supervisor: Runs the resolver.
        java: Runs it too.
        environ: Where `VOTING_IVY_SETTINGS` is looked up, an Ivy settings file that
            names another repository than the public one.
        cache: Holds their directory; by default in the user's cache.

    Raises:
        KafkaLibsError: They cannot be resolved; the message names the resolver's log.
    """
    cache = cache or cache_directory()
    digest = hashlib.sha256(_IVY_MODULE.encode()).hexdigest()[:8]
    libs = cache / f"kafka-{KAFKA_VERSION}-{digest}"
    if libs.is_dir():
        return KafkaLibs(libs)
    _log.info("resolving Kafka %s, once, into %s", KAFKA_VERSION, libs)
    cache.mkdir(parents=True, exist_ok=True)
    work = supervisor.make_directory("resolving", parent=cache)
    module = work / "ivy.xml"
    module.write_text(_IVY_MODULE)
    fetched = work / "libs"
    # A cache of its own: Ivy's shared one is not safe for two processes.
    argv: list[str | Path] = [
        *(java.path, *QUIET_OPTIONS, "-jar", _ivy_jar(), "-ivy", module, "-cache", work / "cache"),
        *("-confs", "default", "-types", "jar", "bundle"),
        *("-retrieve", f"{fetched}/[artifact]-[revision](-[classifier]).[ext]"),
    ]
    if ivy_settings := environ.get("VOTING_IVY_SETTINGS"):
        argv += ["-settings", ivy_settings]
    log_path = supervisor.log_dir / "ivy.log"
    resolver = supervisor.start(Command(name="Ivy", argv=argv, log_path=log_path, cwd=work))
    try:
        returncode = resolver.wait(_RESOLVE_TIMEOUT_S)
    except ChildTimeout as error:
        resolver.kill()
        raise KafkaLibsError(f"Kafka {KAFKA_VERSION} cannot be resolved: {error}") from error
    if returncode or not any(fetched.glob("kafka_*.jar")):
        raise KafkaLibsError(
            f"Kafka {KAFKA_VERSION} cannot be resolved; the log {log_path} ends with:\n"
            + tail(log_path)
        )
    _publish(fetched, libs)
    return KafkaLibs(libs)


def _publish(fetched: Path, libs: Path) -> None:
    try:
        fetched.rename(libs)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        _log.info("%s has been resolved by another process meanwhile", libs)


def _ivy_jar() -> Path:
    # Found without importing pyspark, which takes a second.
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise KafkaLibsError("pyspark, whose wheel carries the resolver, is not installed")
    jars = sorted(Path(spec.origin).with_name("jars").glob("ivy-*.jar"))
    if not jars:
        raise KafkaLibsError(f"there is no Ivy beside {spec.origin}; install pyspark 4.3")
    return jars[-1]
