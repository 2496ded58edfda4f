"""The Random User API, rule by rule, against a local server that behaves like it."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from fake_random_user import FakeRandomUser, person
from structlog.testing import capture_logs

from voting_core.exceptions import InputError, UnreachableError
from voting_core.serialization import decode_voter, encode_voter
from voting_producer.sources.random_user import (
    MalformedPersonError,
    RandomUserSource,
    voter_from,
)
from voting_producer.sources.random_user_api import ApiError, RandomUserApi
from voting_producer.sources.random_user_retries import RetryLimits, parse_retry_after

QUICK = RetryLimits(
    attempts=3,
    backoff=0.01,
    max_backoff=0.02,
    rate_limit_interval=0.1,
    rate_limit_timeout=5,
    request_timeout=0.3,
)


@pytest.fixture
def ask() -> Iterator[Callable[..., RandomUserSource]]:
    """Return a function that builds a source for a server; close all sources afterwards."""
    sources = []

    def build(
        url: str,
        voters: int,
        *,
        page_size: int = 10,
        seed: str = "s",
        nat: str = "",
        limits: RetryLimits = QUICK,
    ) -> RandomUserSource:
        api = RandomUserApi(url, seed=seed, nationalities=nat, limits=limits)
        sources.append(RandomUserSource(api, voters, page_size))
        return sources[-1]

    yield build
    for source in sources:
        source.close()


Ask = Callable[..., RandomUserSource]


def test_a_request_has_the_documented_parameters(ask: Ask) -> None:
    """The path is pinned to 1.4; results, seed, page, inc and nat are sent, gender is not."""
    with FakeRandomUser() as fake:
        list(ask(fake.url + "/", 3, seed="a b&c", nat="us, gb").registrations())
    assert fake.paths == ["/api/1.4/"]
    assert fake.requests == [
        {
            "results": "3",
            "seed": "a b&c",
            "page": "1",
            "nat": "US,GB",
            "inc": "gender,name,location,email,login,dob,phone,picture,nat",
        }
    ]


def test_all_pages_have_one_size(ask: Ask) -> None:
    """The last page is requested in full and used in part: its people depend on its size."""
    with FakeRandomUser() as fake:
        source = ask(fake.url, 25, page_size=10)
        ids = [voter.voter_id for voter, _ in source.registrations()]
    assert [(q["page"], q["results"]) for q in fake.requests] == [
        ("1", "10"),
        ("2", "10"),
        ("3", "10"),
    ]
    wanted = [person("s", 1 + n // 10, n % 10)["login"]["uuid"] for n in range(25)]
    assert ids == wanted


def test_few_people_are_one_small_page(ask: Ask) -> None:
    """No more people are requested than needed if all fit on one page."""
    with FakeRandomUser() as fake:
        assert len(list(ask(fake.url, 4, page_size=1000).registrations())) == 4
    assert [q["results"] for q in fake.requests] == ["4"]


def test_preparing_fetches_the_first_page_once(ask: Ask) -> None:
    """The API is tried before anything is written, and the page is not requested again."""
    with FakeRandomUser() as fake:
        source = ask(fake.url, 20)
        source.prepare()
        assert len(fake.requests) == 1
        assert len(list(source.registrations())) == 20
    assert [q["page"] for q in fake.requests] == ["1", "2"]


def test_same_seed_gives_same_voters(ask: Ask) -> None:
    """A second run yields the same voters, another seed other ones."""
    with FakeRandomUser() as fake:
        runs = [list(ask(fake.url, 12, seed=s).registrations()) for s in ("7", "7", "8")]
    assert runs[0] == runs[1] != runs[2]


def test_login_secrets_are_dropped(ask: Ask) -> None:
    """Only uuid and user name are kept: no password or hash is in a voter or in the log."""
    broken = {"n": 0}

    def spoil(found: dict[str, Any]) -> None:
        broken["n"] += 1
        found["results"][1]["dob"] = None

    with FakeRandomUser(change=spoil, failures=(500,)) as fake, capture_logs() as logs:
        source = ask(fake.url, 10)
        voters = [voter for voter, _ in source.registrations()]
    kept = json.dumps([attrs.asdict(v) for v in voters], default=str) + json.dumps(logs)
    assert broken["n"] == 1
    assert len(logs) == 2
    for word in ("password-", "salt-", "md5-", "sha1-", "sha256-"):
        assert word not in kept
    login = person("s", 1, 0)["login"]
    assert (voters[0].voter_id, voters[0].registration_number) == (
        login["uuid"],
        login["username"],
    )


def test_voter_has_what_the_person_has() -> None:
    """Every field of the person is in the right field of the voter, which can be encoded."""
    voter = voter_from(person("s", 1, 0))
    source = person("s", 1, 0)
    assert voter.voter_name == f"{source['name']['first']} {source['name']['last']}"
    assert voter.date_of_birth == date.fromisoformat(source["dob"]["date"][:10])
    assert voter.gender == source["gender"]
    assert voter.address.state == source["location"]["state"]
    assert voter.address.street == f"{source['location']['street']['number']} Mill Lane"
    assert voter.picture == "https://example.org/large.jpg"
    assert voter.choice is None
    assert decode_voter(encode_voter(voter)) == voter


@pytest.mark.parametrize(("postcode", "text"), [(9011, "9011"), ("0123 AB", "0123 AB"), (None, "")])
def test_postcode_may_be_number_or_text(postcode: object, text: str) -> None:
    """A postcode becomes a string in either case."""
    found = person("s", 1, 0)
    found["location"]["postcode"] = postcode
    assert voter_from(found).address.postcode == text


def replace_at(found: dict[str, Any], path: str, value: Any) -> None:
    """Replace the value at a dotted path."""
    *parents, last = path.split(".")
    for name in parents:
        found = found[name]
    found[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("login", None),
        ("login", "x"),
        ("login.uuid", ""),
        ("login.uuid", None),
        ("login.uuid", "x" * 257),
        ("gender", ""),
        ("gender", ["male"]),
        ("name", {"first": " ", "last": ""}),
        ("name.first", "A\0"),
        ("name.last", "\ud800"),
        ("dob.date", "yesterday"),
        ("dob.date", "2001-02-30T00:00:00Z"),
        ("dob", {}),
        ("location.state", None),
        ("location.street", "Mill Lane 5"),
        ("location.postcode", 1.5),
        ("picture", True),
    ],
)
def test_malformed_person_is_skipped(ask: Ask, path: str, value: Any) -> None:
    """A person without a required field is skipped and counted; the others are registered."""

    def spoil(found: dict[str, Any]) -> None:
        replace_at(found["results"][2], path, value)

    malformed = person("s", 1, 2)
    replace_at(malformed, path, value)
    with pytest.raises(MalformedPersonError, match=path.split(".", maxsplit=1)[0]):
        voter_from(malformed)
    with FakeRandomUser(change=spoil) as fake:
        source = ask(fake.url, 5)
        assert len(list(source.registrations())) == 4
    assert source.skipped == 1


def test_an_entry_that_is_not_a_person_is_skipped(ask: Ask) -> None:
    """An entry that is not an object, and a person that occurs twice, are skipped."""

    def spoil(found: dict[str, Any]) -> None:
        found["results"][0] = "text"
        found["results"][2] = found["results"][1]

    with FakeRandomUser(change=spoil) as fake:
        source = ask(fake.url, 5)
        assert len(list(source.registrations())) == 3
    assert source.skipped == 2


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", "1.3", "asked for version 1.4, got 1.3"),
        ("seed", "other", "asked for seed s, got other"),
        ("page", 2, "asked for page 1, got 2"),
        ("results", 1, "asked for results 5, got 1"),
        ("page", None, "asked for page 1, got None"),
    ],
)
def test_a_response_to_another_request_is_refused(
    ask: Ask, field: str, value: object, message: str
) -> None:
    """The response is checked against the request, and another attempt is not made."""

    def spoil(found: dict[str, Any]) -> None:
        found["info"][field] = value

    with FakeRandomUser(change=spoil) as fake:
        with pytest.raises(ApiError, match=message) as caught:
            ask(fake.url, 5).prepare()
        assert len(fake.requests) == 1
    assert caught.value.exit_code == 2


def test_missing_people_are_noticed(ask: Ask) -> None:
    """Fewer people than the response claims are an error, not a smaller election."""
    with (
        FakeRandomUser(change=lambda found: found["results"].pop()) as fake,
        pytest.raises(ApiError, match="asked for people 5, got 4"),
    ):
        ask(fake.url, 5).prepare()


def test_other_nationality_is_noticed(ask: Ask) -> None:
    """The API ignores an unknown nationality, which is an error."""
    with (
        FakeRandomUser() as fake,
        pytest.raises(ApiError, match="asked for nationality XX, got"),
    ):
        ask(fake.url, 5, nat="xx").prepare()


@pytest.mark.parametrize("answer", ["not-json", "error", 404, 400, 302])
def test_refusal_is_an_error_at_once(ask: Ask, answer: int | str) -> None:
    """An error that another attempt cannot solve is not retried."""
    with FakeRandomUser(failures=(answer,)) as fake:
        with pytest.raises(ApiError, match=fake.url):
            ask(fake.url, 5).prepare()
        assert len(fake.requests) == 1


@pytest.mark.parametrize("change", ["results", "info"])
def test_wrong_shape_is_an_error_at_once(ask: Ask, change: str) -> None:
    """A response without results or info is refused."""
    with FakeRandomUser(change=lambda found: found.pop(change)) as fake:
        with pytest.raises(ApiError, match="lacks 'results' or 'info'"):
            ask(fake.url, 5).prepare()
        assert len(fake.requests) == 1


@pytest.mark.parametrize("failure", [500, 503, "drop", "hang"])
def test_a_temporary_failure_is_retried(ask: Ask, failure: int | str) -> None:
    """Server errors, broken connections and timeouts are retried and logged."""
    with FakeRandomUser(failures=(failure, failure)) as fake, capture_logs() as logs:
        assert len(list(ask(fake.url, 5).registrations())) == 5
    assert len(fake.requests) == 3
    assert [log["attempt"] for log in logs] == ["1 of 3", "2 of 3"]


def test_a_lasting_failure_is_an_error(ask: Ask) -> None:
    """After the last attempt the error has the address and the cause."""
    with FakeRandomUser(failures=(500, 500, 500, 500)) as fake:
        with pytest.raises(UnreachableError, match=rf"{fake.url}/api/1\.4/ .*status 500") as caught:
            ask(fake.url, 5).prepare()
        assert len(fake.requests) == 3
    assert caught.value.exit_code == 2


def test_an_unreachable_api_is_an_error(ask: Ask) -> None:
    """An address where no server listens gives the same error."""
    with FakeRandomUser() as fake:
        url = fake.url
    with pytest.raises(UnreachableError, match=url):
        ask(url, 5).prepare()


@pytest.mark.parametrize("retry_after", ["seconds", "date", None])
def test_the_rate_limit_is_waited_for(ask: Ask, retry_after: str | None) -> None:
    """Status 429 costs time, not voters; the wait is logged and is not an attempt."""
    with (
        FakeRandomUser(limit=20, window=0.5, retry_after=retry_after) as fake,
        capture_logs() as logs,
    ):
        voters = list(ask(fake.url, 40, limits=attrs.evolve(QUICK, attempts=1)).registrations())
    assert len({voter.voter_id for voter, _ in voters}) == 40
    waits = [log for log in logs if "rate limit" in log["event"]]
    assert waits
    if retry_after is None:
        assert all(log["wait_seconds"] == 0.1 for log in waits)
    else:
        assert len(waits) == 1


def test_a_lasting_rate_limit_is_an_error(ask: Ask) -> None:
    """A limit that still applies after the timeout is an error with the address."""
    limits = attrs.evolve(QUICK, rate_limit_timeout=0.3)
    with FakeRandomUser(limit=0) as fake:
        start = time.monotonic()
        with pytest.raises(UnreachableError, match=f"{fake.url}.*rate limit"):
            ask(fake.url, 5, limits=limits).prepare()
        assert 0.1 < time.monotonic() - start < 2
        assert len(fake.requests) > 2


def test_too_long_a_wait_is_an_error_at_once(ask: Ask) -> None:
    """If the API asks for a longer wait than the timeout, there is no wait."""
    with FakeRandomUser(limit=0, retry_after="seconds") as fake:
        with pytest.raises(UnreachableError, match=r"asks for 30\d s more"):
            ask(fake.url, 5).prepare()
        assert len(fake.requests) == 1


def test_the_wait_is_longer_than_the_window() -> None:
    """By default the wait for the limit is a little longer than its 5 minutes, in small steps."""
    assert 300 < RetryLimits().rate_limit_timeout < 400
    assert RetryLimits().rate_limit_interval == 15


def test_retry_after_is_read_as_number_or_date() -> None:
    """Both forms of the header are read; an invalid one is ignored."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert parse_retry_after("120") == 120
    assert parse_retry_after("Thu, 01 Jan 2026 12:00:30 GMT", lambda: now) == 30
    assert parse_retry_after("Thu, 01 Jan 2026 11:00:00 GMT", lambda: now) == 0
    assert parse_retry_after("soon") is None
    assert parse_retry_after(None) is None


def test_limits_of_the_api_are_never_crossed(ask: Ask) -> None:
    """More people than fit on 10,000 pages are refused, and so is a request beyond the limits."""
    with pytest.raises(InputError, match="50,001 voters"):
        ask("http://127.0.0.1:1", 50_001, page_size=5)
    ask("http://127.0.0.1:1", 50_000, page_size=5)
    api = RandomUserApi("http://127.0.0.1:1", seed="s")
    for page, count in ((10_001, 5), (0, 5), (1, 5001), (1, 0)):
        with pytest.raises(ValueError, match="beyond the API's limits"):
            api.people(page, count)


@pytest.mark.parametrize("url", ["randomuser.me", "ftp://x", "http://"])
def test_address_must_be_a_url(url: str) -> None:
    """An address that is not an http URL is refused before a request."""
    with pytest.raises(InputError):
        RandomUserApi(url, seed="s")


def test_seed_must_not_be_empty() -> None:
    """Without a seed the API would return other people for each request."""
    with pytest.raises(InputError, match="seed"):
        RandomUserApi("http://x", seed="")


def test_password_in_the_address_is_hidden() -> None:
    """A password for the server is not in a message."""
    api = RandomUserApi("http://me:hush@127.0.0.1:1/base/", seed="s", limits=QUICK)
    assert api.url == "http://127.0.0.1:1/base/api/1.4/"
    with pytest.raises(UnreachableError) as caught:
        api.people(1, 1)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "count", "page"),
    [
        ({"results": "5001"}, 1, 1),
        ({"results": "5000"}, 5000, 1),
        ({"results": "2", "page": "10001"}, 2, 1),
        ({"results": "2", "page": "10000"}, 2, 10_000),
    ],
)
def test_fake_has_the_quirks(query: dict[str, str], count: int, page: int) -> None:
    """The server of these tests answers beyond the limits as the real one does."""
    with FakeRandomUser() as fake:
        _, body, _ = fake.answer({"seed": "s", **query})
    found = json.loads(body)
    assert (len(found["results"]), found["info"]["page"]) == (count, page)
    assert found["results"][0] == person("s", page, 0)
