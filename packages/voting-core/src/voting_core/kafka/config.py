"""The librdkafka configuration common to all clients."""

import logging
from typing import Any

from voting_core.service.settings import KafkaSettings

_log = logging.getLogger("librdkafka")


def client_config(settings: KafkaSettings, **properties: Any) -> dict[str, Any]:
    """Return a librdkafka configuration; `properties` are named with underscores for dots."""
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        # Reconnect to a restarted broker within 1 s instead of the default 10 s.
        "reconnect.backoff.max.ms": 1000,
        "logger": _log,
        **{name.replace("_", "."): value for name, value in properties.items()},
    }
