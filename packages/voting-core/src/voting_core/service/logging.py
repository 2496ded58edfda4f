"""Logging through structlog: readable on a terminal, JSON lines otherwise."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import stamina.instrumentation
import structlog
from structlog.tracebacks import ExceptionDictTransformer

from voting_core.service.settings import LogSettings

REPEAT_SECONDS = 300.0
"""How long a message of librdkafka is not logged again."""

# What differs in repetitions: the number of the client, and a duration.
_CHANGING = re.compile(r"rdkafka#\w+-\d+|after \d+ms")


class NoRepetitions(logging.Filter):
    """Drops messages that were logged some minutes before.

    librdkafka logs every failed attempt to connect, up to 20 a second for each broker.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a message."""
        message = _CHANGING.sub("", record.getMessage())
        is_recent = record.created - self._logged.get(message, -REPEAT_SECONDS) < REPEAT_SECONDS
        if not is_recent:
            recent = record.created - REPEAT_SECONDS
            self._logged = {m: at for m, at in self._logged.items() if at > recent}
            self._logged[message] = record.created
        return not is_recent


def configure_logging(settings: LogSettings, service: str) -> None:
    """Write the logs of the service and its libraries to standard error."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The local variables of a traceback can contain a password.
    ending: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries' messages below a warning are useful only for debugging.
    root.setLevel("DEBUG" if settings.level == "debug" else "WARNING")
    if settings.level != "debug":
        # librdkafka warns before it retries, and returns errors to the caller as well.
        librdkafka = logging.getLogger("librdkafka")
        librdkafka.setLevel("ERROR")
        librdkafka.filters = [NoRepetitions()]
    for package in ("voting_core", service.replace("-", "_")):
        logging.getLogger(package).setLevel(settings.level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Callers log their own retries.
    stamina.instrumentation.set_on_retry_hooks(())


@contextmanager
def log_above_a_bar() -> Iterator[None]:
    """Print log lines above rich's progress bar while it is shown."""
    # rich has replaced sys.stderr by a stream that prints above the bar.
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
