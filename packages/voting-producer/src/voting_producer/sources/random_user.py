"""Voters from the Random User API."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import attrs
import structlog

from voting_core.exceptions import InputError
from voting_core.models import Address, Voter
from voting_producer.shards import WHOLE, Shard
from voting_producer.sources import Registration, Source
from voting_producer.sources.random_user_api import MAX_PAGE, RandomUserApi

# Core refuses longer ids; those of the API have 36 characters.
_MAX_ID_LENGTH = 256

log = structlog.get_logger()


class MalformedPersonError(ValueError):
    """A person lacks a field of a voter; the message names the field, never its value."""


def voter_from(person: Any) -> Voter:
    """Return a person of the API as a voter.

    Of `login` only `uuid` and `username` are read; passwords and hashes are dropped.

    Args:
        person: One entry of `results`, parsed from JSON.

    Raises:
        MalformedPersonError: A required field is missing or empty, or a field has a wrong type.
    """
    first, last = _text(person, "name", "first"), _text(person, "name", "last")
    born = _required(person, "dob", "date")
    try:
        date_of_birth = date.fromisoformat(born[:10])
    except ValueError:
        raise MalformedPersonError("dob.date is not a date") from None
    name = f"{first} {last}".strip()
    if not name:
        raise MalformedPersonError("name is empty")
    voter_id = _required(person, "login", "uuid")
    if len(voter_id) > _MAX_ID_LENGTH:
        raise MalformedPersonError("login.uuid is too long")
    street = [_text(person, "location", "street", part) for part in ("number", "name")]
    return Voter(
        voter_id=voter_id,
        voter_name=name,
        date_of_birth=date_of_birth,
        gender=_required(person, "gender"),
        address=Address(
            state=_required(person, "location", "state"),
            street=" ".join(street).strip(),
            city=_text(person, "location", "city"),
            country=_text(person, "location", "country"),
            postcode=_text(person, "location", "postcode"),
        ),
        nationality=_text(person, "nat"),
        registration_number=_text(person, "login", "username"),
        email=_text(person, "email"),
        phone_number=_text(person, "phone"),
        picture=_text(person, "picture", "large"),
        registered_age=_age(person),
    )


def _field(person: Any, path: tuple[str, ...]) -> Any:
    value = person
    for name in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise MalformedPersonError(f"{'.'.join(path)} is not in an object")
        value = value.get(name)
    return value


def _text(person: Any, *path: str) -> str:
    """Return a string, or an integer as a string; empty if the value is missing."""
    value = _field(person, path)
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise MalformedPersonError(f"{'.'.join(path)} is not a string")
    # JSON can contain these, PostgreSQL cannot store them.
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise MalformedPersonError(f"{'.'.join(path)} contains a character that cannot be stored")
    return value.strip()


def _required(person: Any, *path: str) -> str:
    text = _text(person, *path)
    if not text:
        raise MalformedPersonError(f"{'.'.join(path)} is missing or empty")
    return text


def _age(person: Any) -> int | None:
    age = _field(person, ("dob", "age"))
    return age if type(age) is int and 0 <= age < 200 else None


@attrs.define
class RandomUserSource(Source):
    """Requests people page by page.

    All pages have the same size, because the people on a page may depend on it. If all people fit
    on one page, it has the size of their number.

    Attributes:
        voters: Number of people to request, in all shards together.
        page_size: People per page, 1 to 5,000.
        shard: Which of the pages to request.

    Raises:
        InputError: The API does not have enough pages.
    """

    api: RandomUserApi
    voters: int
    page_size: int = 1000
    shard: Shard = WHOLE
    skipped: int = attrs.field(default=0, init=False)
    _first_page: list[Registration] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.voters > MAX_PAGE * self.page_size:
            raise InputError(
                f"{self.voters:,} voters are more than the Random User API has: "
                f"{MAX_PAGE:,} pages of {self.page_size:,}"
            )

    @property
    def expected(self) -> int:
        """Number of people on the pages of the shard."""
        return sum(self._people_on(page) for page in self._pages)

    def prepare(self) -> None:
        """Fetch the first page of the shard, if it has one."""
        if self._first_page is None and self._pages:
            self._first_page = self._fetch(self._pages[0])

    def registrations(self) -> Iterator[Registration]:
        """Yield the people that are well-formed; the others are skipped."""
        self.prepare()
        current, self._first_page = self._first_page or [], None
        yield from current
        for page in self._pages[1:]:
            yield from self._fetch(page)

    def close(self) -> None:
        """Close the connection."""
        self.api.close()

    @property
    def _pages(self) -> Sequence[int]:
        """The page numbers of the shard; the API counts from 1."""
        pages = -(-self.voters // self.page_size)
        return [position + 1 for position in self.shard.within(range(pages))]

    def _people_on(self, page: int) -> int:
        return min(self.page_size, self.voters - (page - 1) * self.page_size)

    def _fetch(self, page: int) -> list[Registration]:
        people = self.api.people(page, min(self.page_size, self.voters))
        wanted = people[: self._people_on(page)]
        voters: dict[str, Voter] = {}
        problems: list[str] = []
        for number, person in enumerate(wanted, start=1):
            try:
                voter = voter_from(person)
                if voter.voter_id in voters:
                    raise MalformedPersonError("login.uuid occurs twice on the page")
            except MalformedPersonError as error:
                problems.append(f"person {number}: {error}")
            else:
                voters[voter.voter_id] = voter
        if problems:
            self.skipped += len(problems)
            log.warning("people skipped", page=page, skipped=len(problems), first=problems[0])
        return [Registration(voter, True) for voter in voters.values()]
