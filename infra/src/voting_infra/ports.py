"""Free loopback ports for servers."""

import random
import socket
from pathlib import Path

from voting_infra.exceptions import SupervisionError

LOOPBACK = "127.0.0.1"

_LINUX_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SERVER_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Returns ports on which nothing listens right now, in no particular order.

    They lie outside the range from which the kernel gives client sockets their ports, as far as
    that is possible. Within it a client that reconnects to a server which is down may be given the
    server's own port, connect to itself, and so keep the server from coming back.

    Args:
        count: How many.

    Raises:
        SupervisionError: There are not that many.
    """
    candidates = preferred_ports(_client_ports())
    random.shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    if len(found) < count:
        raise SupervisionError(f"no {count} free ports on {LOOPBACK}")
    return found


def preferred_ports(client_ports: range) -> list[int]:
    """Returns the ports to try: those for servers without those for clients, unless none is left.

    Args:
        client_ports: What the kernel gives to client sockets.
    """
    return [port for port in _SERVER_PORTS if port not in client_ports] or list(_SERVER_PORTS)


def is_free(port: int) -> bool:
    """Tells whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _client_ports() -> range:
    if not _LINUX_RANGE.exists():
        return range(49_152, 65_536)  # RFC 6335, section 6
    low, high = _LINUX_RANGE.read_text().split()
    return range(int(low), int(high) + 1)
