"""Logging through structlog: readable on a terminal, JSON lines otherwise."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import stamina.instrumentation
import structlog

from voting_core.service.settings import LogSettings


def configure_logging(settings: LogSettings, service: str) -> None:
    """Write the logs of the service and its libraries to standard error."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
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
        logging.getLogger("librdkafka").setLevel("ERROR")
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
