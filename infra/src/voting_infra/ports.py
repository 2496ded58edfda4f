"""Free loopback ports for servers."""

import random
import socket
from pathlib import Path

from voting_infra.exceptions import SupervisionError

LOOPBACK = "127.0.0.1"

_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SERVER_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens right now, in random order."""
    candidates = preferred_ports(_ephemeral_ports())
    random.shuffle(candidates)
    found = [port for port in candidates[: 100 * count] if is_free(port)][:count]
    if len(found) < count:
        raise SupervisionError(f"no {count} free ports on {LOOPBACK}")
    return found


def preferred_ports(ephemeral: range) -> list[int]:
    """Return the ports to choose from: none that the kernel gives to clients, if others are left.

    A client that reconnects to a server that is down may be given the server's own port, connect
    to itself, and so keep the server from coming back.
    """
    return [port for port in _SERVER_PORTS if port not in ephemeral] or list(_SERVER_PORTS)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _ephemeral_ports() -> range:
    if not _KERNEL_RANGE.exists():
        return range(49_152, 65_536)  # RFC 6335, section 6
    low, high = _KERNEL_RANGE.read_text().split()
    return range(int(low), int(high) + 1)
