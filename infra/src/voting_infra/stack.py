"""A stack: what the services run on.

`python -m voting_infra.stack` brings one up, prints its addresses for a shell and keeps it until
Ctrl-C.
"""

import argparse
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import attrs

from voting_core.exceptions import JavaError
from voting_core.service.java import find_java
from voting_infra.exceptions import StackError
from voting_infra.kafka import EmbeddedKafka
from voting_infra.kafka_libs import resolve_kafka_libs
from voting_infra.logs import new_log_directory
from voting_infra.postgres import EmbeddedPostgres
from voting_infra.servers import Server, run_together
from voting_infra.supervisor import Supervisor

if TYPE_CHECKING:
    from voting_infra.containers import ContainerKafka, ContainerPostgres
    from voting_infra.images import StackImages

    _Servers = tuple[EmbeddedKafka | ContainerKafka, EmbeddedPostgres | ContainerPostgres]

_log = logging.getLogger(__name__)

_EMBEDDED_TIMEOUT_S = 60.0
_CONTAINER_TIMEOUT_S = 120.0
# Recording a class-data archive takes Kafka some seconds, once.
_STOP_TIMEOUT_S = 60.0

StackKind = Literal["containers", "embedded"]


@attrs.frozen
class Stack:
    """A running stack.

    Attributes:
        bootstrap_servers: Kafka's address, `host:port`.
        database_url: PostgreSQL's, with user, password and database.
        kafka: Control over Kafka.
        postgres: Control over PostgreSQL.
        log_dir: Where their logs are; they outlive the stack.
    """

    bootstrap_servers: str
    database_url: str = attrs.field(repr=False)  # it has the password
    kafka: Server
    postgres: Server
    log_dir: Path


@contextmanager
def open_stack(
    kind: StackKind = "embedded",
    *,
    log_dir: Path | None = None,
    supervisor: Supervisor | None = None,
    environ: Mapping[str, str] | None = None,
    images: "StackImages | None" = None,
    timeout: float | None = None,
) -> Iterator[Stack]:
    """Bring up a stack with empty data, and take it down with all that it has made.

    Args:
        kind: How: `embedded` runs real servers as child processes, `containers` runs them in
            containers of a Docker engine.
        log_dir: For the logs; by default a new directory in the user's cache, where the last few
            are kept.
        supervisor: Runs the children, for a caller that runs others as well; the logs then go to
            its directory, and it is closed if the stack does not come up. By default the stack has
            its own.
        environ: Where `JAVA_HOME`, `PATH`, `VOTING_IVY_SETTINGS`, `VOTING_KAFKA_IMAGE` and
            `VOTING_POSTGRES_IMAGE` are looked up; by default this process's environment.
        images: What containers run; by default what the environment names, else the official
            images, or images that are built here if those cannot be had.
        timeout: Seconds within which each server must answer after a start; by default 60, in
            containers 120.

    Raises:
        JavaError: There is no Java that can run Kafka, where one is needed.
        StackError: It cannot be brought up; the message has the reason and names the log.
    """
    if kind not in get_args(StackKind):
        raise StackError(f"no stack is called {kind!r}; there is {', '.join(get_args(StackKind))}")
    environ = os.environ if environ is None else environ
    with ExitStack() as own:
        if supervisor is None:
            supervisor = own.enter_context(Supervisor(log_dir or new_log_directory()))
        opened: AbstractContextManager[_Servers]
        if kind == "embedded":
            opened = _embedded(supervisor, environ, timeout or _EMBEDDED_TIMEOUT_S)
        else:
            opened = _containers(supervisor, environ, images, timeout or _CONTAINER_TIMEOUT_S)
        with opened as (kafka, postgres):
            yield Stack(
                bootstrap_servers=kafka.bootstrap_servers,
                database_url=postgres.database_url,
                kafka=kafka,
                postgres=postgres,
                log_dir=supervisor.log_dir,
            )


def _containers(
    supervisor: Supervisor,
    environ: Mapping[str, str],
    images: "StackImages | None",
    timeout: float,
) -> "AbstractContextManager[_Servers]":
    # Here because its imports take longer than those of all the rest.
    from voting_infra.containers import open_containers
    from voting_infra.images import find_images

    if images is None:
        images = find_images(environ, build=True)
    _log.info("the stack runs %s", images)
    return open_containers(supervisor, images, timeout)


@contextmanager
def _embedded(
    supervisor: Supervisor, environ: Mapping[str, str], timeout: float
) -> "Iterator[_Servers]":
    java = find_java(environ)
    libs = resolve_kafka_libs(supervisor, java, environ)
    kafka = EmbeddedKafka(supervisor, java, libs, record_archive=True, timeout=timeout)
    postgres = EmbeddedPostgres(supervisor, timeout=timeout)
    # To end one's children ends its start.
    run_together((kafka.start_on_free_ports, postgres.start_on_free_ports), supervisor.close)
    try:
        yield kafka, postgres
    finally:
        supervisor.stop_all([kafka.child, postgres.child], _STOP_TIMEOUT_S)
        kafka.keep_class_archive()


def shell_lines(stack: Stack) -> str:
    """Return the addresses as lines that a shell can evaluate."""
    return (
        f"export VOTING_KAFKA_BOOTSTRAP_SERVERS={shlex.quote(stack.bootstrap_servers)}\n"
        f"export VOTING_DATABASE_URL={shlex.quote(stack.database_url)}\n"
    )


def main() -> None:
    """Keep a stack until Ctrl-C or SIGTERM; the exit status is 0 then, 1 for an error."""
    parser = argparse.ArgumentParser(prog="voting-stack", description=main.__doc__)
    parser.add_argument("--log-dir", type=Path, help="where the logs go")
    parser.add_argument(
        "--kind", choices=get_args(StackKind), default="embedded", help="how (default: embedded)"
    )
    parser.add_argument("--kafka-image", metavar="NAME", help="in containers: the image of Kafka")
    parser.add_argument("--postgres-image", metavar="NAME", help="… and that of PostgreSQL")
    options = parser.parse_args()
    environ = dict(os.environ)
    if options.kafka_image:
        environ["VOTING_KAFKA_IMAGE"] = options.kafka_image
    if options.postgres_image:
        environ["VOTING_POSTGRES_IMAGE"] = options.postgres_image
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open_stack(options.kind, log_dir=options.log_dir, environ=environ) as stack:
            print(shell_lines(stack), end="", flush=True)
            print(f"logs in {stack.log_dir}; Ctrl-C ends the stack", file=sys.stderr)
            signal.pause()
    except KeyboardInterrupt:
        print("the stack has ended", file=sys.stderr)
    except (StackError, JavaError) as error:
        sys.exit(f"voting-stack: {error}")


if __name__ == "__main__":
    main()
