"""structlog set up once for a service: readable on a terminal, JSON lines otherwise."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import stamina.instrumentation
import structlog

from voting_core.service.settings import LogSettings

__all__ = ["configure_logging", "log_above_a_bar"]


def configure_logging(settings: LogSettings, service: str) -> None:
    """Send the service's log, and that of the libraries it uses, to standard error.

    Args:
        settings: Level and format.
        service: Name that every line carries.
    """
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
    # What libraries say below a warning is of use only when debugging.
    root.setLevel("DEBUG" if settings.level == "debug" else "WARNING")
    if settings.level != "debug":
        # It warns of what it then tries again; errors it also returns to the caller.
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
    # A retry is logged by its caller, in the terms of the service.
    stamina.instrumentation.set_on_retry_hooks(())


@contextmanager
def log_above_a_bar() -> Iterator[None]:
    """Let log lines go above rich's progress bar instead of through it, while that is shown."""
    # While it is shown, rich replaces sys.stderr by a stream that prints above the bar.
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
