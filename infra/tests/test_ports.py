"""Choosing ports."""

import socket

import pytest

from voting_infra import ports


def test_ports_differ_and_are_free() -> None:
    """Ports handed out together are distinct, and a server can listen on each."""
    found = ports.free_ports(3)
    assert len(set(found)) == 3
    assert all(ports.is_free(port) for port in found)


def test_a_port_with_a_listener_is_not_free() -> None:
    """A port with a listener is never handed out."""
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_client_ports_are_avoided() -> None:
    """Ports that the kernel may give to clients are not for servers, if there are others."""
    assert set(ports.preferred_ports(range(25_000, 61_000))) == set(range(20_000, 25_000))
    assert ports.preferred_ports(range(1024, 65_536))


def test_taken_candidates_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two candidates the one with a listener is left out."""
    (free,) = ports.free_ports(1)
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(ports, "preferred_ports", lambda _: [taken, free])
        assert ports.free_ports(1) == [free]
