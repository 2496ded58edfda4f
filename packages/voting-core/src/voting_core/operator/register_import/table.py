"""The tables of the register, and what a row of a file may contain.

The fields are checked like those of a record on `voters_topic`. Some further values, which are
valid there but are errors in a register, are refused as well.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from voting_core.database.voter_register import CANDIDATE_COLUMNS, VOTER_COLUMNS, voter_row
from voting_core.exceptions import SerializationError
from voting_core.models import Address, Voter
from voting_core.serialization import read_candidate, read_voter

MAX_LABEL_CHARS = 1_000
"""Limit of names and locations, which are part of every vote and keys of the aggregates."""

MAX_AGE = 150

_ADDRESS = "address"
_ADDRESS_FIELDS = tuple(field.name for field in attrs.fields(Address))
_ADDRESS_COLUMNS = {f"{_ADDRESS}_{field}": field for field in _ADDRESS_FIELDS}


@attrs.frozen
class RegisterTable:
    """A table into which a file can be imported.

    Attributes:
        columns: The columns of the table and the file; the first is the id.
        required: Columns that a file must have.
        values: Returns the row for a JSON object; raises SerializationError.
    """

    name: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    values: Callable[[dict[str, Any]], tuple[Any, ...]] = attrs.field(repr=False)


def _candidate_values(fields: dict[str, Any]) -> tuple[Any, ...]:
    _check_columns(fields, CANDIDATE_COLUMNS)
    candidate = read_candidate(fields)
    _check_label("candidate_name", candidate.candidate_name)
    _check_label("party_affiliation", candidate.party_affiliation)
    return attrs.astuple(candidate)


def _voter_values(fields: dict[str, Any]) -> tuple[Any, ...]:
    """Return a voter's row from columns, or from columns with a nested address."""
    if "choice" in fields:
        raise SerializationError("choice: belongs on a ballot, not in the register")
    if _ADDRESS in fields:
        _check_nested(fields)
        return _checked_voter_row(fields)
    _check_columns(fields, VOTER_COLUMNS)
    nested = {name: value for name, value in fields.items() if name not in _ADDRESS_COLUMNS}
    nested[_ADDRESS] = {
        field: fields[name] for name, field in _ADDRESS_COLUMNS.items() if name in fields
    }
    try:
        return _checked_voter_row(nested)
    except SerializationError as error:
        raise SerializationError(re.sub(r"^address\.", "address_", str(error))) from None


def _check_nested(fields: dict[str, Any]) -> None:
    _check_columns([name for name in fields if name != _ADDRESS], VOTER_COLUMNS)
    if flat := [name for name in fields if name in _ADDRESS_COLUMNS]:
        raise SerializationError(f"{flat[0]}: conflicts with the nested address")
    if type(fields[_ADDRESS]) is dict:
        _check_columns(fields[_ADDRESS], _ADDRESS_FIELDS, f"{_ADDRESS}.")


def _checked_voter_row(fields: dict[str, Any]) -> tuple[Any, ...]:
    voter: Voter = read_voter(fields)
    _check_label("gender", voter.gender)
    _check_label("address.state", voter.address.state)
    age = voter.registered_age
    if age is not None and not 0 <= age <= MAX_AGE:
        raise SerializationError(f"registered_age: {age} is not from 0 to {MAX_AGE}")
    return voter_row(voter)


def _check_label(name: str, text: str) -> None:
    if len(text) > MAX_LABEL_CHARS:
        raise SerializationError(f"{name}: longer than {MAX_LABEL_CHARS:,} characters")


def _check_columns(found: Iterable[str], known: Sequence[str], prefix: str = "") -> None:
    for name in found:
        if name not in known:
            raise SerializationError(f"{prefix}{excerpt(name)}: {unknown_column(name, known)}")


def unknown_column(name: str, known: Sequence[str]) -> str:
    """Return the error message for an unknown column, with the closest known one."""
    close = difflib.get_close_matches(name[:100].lower(), known, 1)
    return f"not a column of the register{f'; is it {close[0]}?' if close else ''}"


def excerpt(text: str) -> str:
    """Return the start of a text in printable form."""
    return repr(text if len(text) <= 60 else text[:60] + "…")[1:-1]


CANDIDATES = RegisterTable(
    "candidates", CANDIDATE_COLUMNS, ("candidate_id", "candidate_name"), _candidate_values
)
VOTERS = RegisterTable(
    "voters",
    VOTER_COLUMNS,
    ("voter_id", "voter_name", "date_of_birth", "gender", "address_state"),
    _voter_values,
)
