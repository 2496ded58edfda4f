"""Tests of the address that the page is served at."""

import pytest

from voting_core.exceptions import InputError
from voting_dashboard.service import check_port, page_url
from voting_dashboard.settings import PageSettings


def test_check_port(used_port: int, free_port: int) -> None:
    """A free port passes; one in use and an address of another machine do not."""
    check_port(PageSettings(port=free_port))
    with pytest.raises(InputError, match="in use"):
        check_port(PageSettings(port=used_port))
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1:"):
        check_port(PageSettings(host="192.0.2.1", port=free_port))


def test_page_url() -> None:
    """A browser on this machine can open the URL, whatever address the server listens on."""
    assert page_url(PageSettings()) == "http://127.0.0.1:8501"
    assert page_url(PageSettings(host="0.0.0.0", port=80)) == "http://localhost:80"
    assert page_url(PageSettings(host="::1")) == "http://[::1]:8501"
    assert page_url(PageSettings(base_path="/a/count/")) == "http://127.0.0.1:8501/a/count"


@pytest.mark.parametrize("path", ["a b", "a//b", "ä", "a?b", "http://x"])
def test_base_path_that_is_none(path: str) -> None:
    """A base path that no URL can have is refused."""
    with pytest.raises(ValueError, match=r"base_path: .* is not a path"):
        PageSettings(base_path=path)


@pytest.mark.parametrize("origin", ["results.example.org", "https://x/count", "https://x/", "x:"])
def test_origin_that_is_none(origin: str) -> None:
    """An origin has a scheme and a host, and no path."""
    with pytest.raises(ValueError, match=r"origin: .* is not an origin"):
        PageSettings(origin=origin)
