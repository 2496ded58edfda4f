"""Where voters come from: one module a source, all behind one protocol."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from voting_core.models import Candidate, Voter

__all__ = ["Registration", "Source"]


class Registration(NamedTuple):
    """Somebody on the register, and whether a ballot of theirs is sent."""

    voter: Voter
    votes: bool


class Source(Protocol):
    """Voters in an order that is the same at every run.

    Attributes:
        candidates: The candidates that the source brings; empty when any will do.
        brings_choices: Whether each voter carries the choice; else the consumer draws it.
        expected: How many ballots it will send, those of people it may have to skip included.
        skipped: How many people could not be used so far.
    """

    @property
    def candidates(self) -> Sequence[Candidate]: ...  # noqa: D102

    @property
    def brings_choices(self) -> bool: ...  # noqa: D102

    @property
    def expected(self) -> int: ...  # noqa: D102

    @property
    def skipped(self) -> int: ...  # noqa: D102

    def prepare(self) -> None:
        """See that the source can deliver, before anything is written.

        Raises:
            SetupError: It cannot.
        """

    def registrations(self) -> Iterator[Registration]:
        """Yield everybody, in bounded memory."""

    def close(self) -> None:
        """Let go of what `prepare` and `registrations` opened."""
