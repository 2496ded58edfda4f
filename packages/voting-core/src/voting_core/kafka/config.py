"""The librdkafka configuration that all clients have in common."""

import logging
from typing import Any

from voting_core.service.settings import KafkaSettings

__all__ = ["client_config"]

_log = logging.getLogger("librdkafka")


def client_config(settings: KafkaSettings, **extra: Any) -> dict[str, Any]:
    """Return a librdkafka configuration; `extra` names use underscores for dots."""
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        # A restarted broker is found again within a second instead of up to ten.
        "reconnect.backoff.max.ms": 1000,
        "logger": _log,
        **{name.replace("_", "."): value for name, value in extra.items()},
    }
