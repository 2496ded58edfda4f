"""Sources of voters: one module per source, all with one protocol."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from voting_core.models import Candidate, Voter

__all__ = ["Registration", "Source"]


class Registration(NamedTuple):
    """A voter to register, and whether the voter casts a ballot."""

    voter: Voter
    casts_ballot: bool


class Source(Protocol):
    """Voters, in the same order in every run.

    Attributes:
        candidates: The candidates of the source; empty if it works with any.
        has_choices: Whether each voter has a choice; otherwise the consumer draws it.
        expected: Number of ballots, including those of malformed people that will be skipped.
        skipped: Number of malformed people skipped so far.
    """

    @property
    def candidates(self) -> Sequence[Candidate]: ...  # noqa: D102

    @property
    def has_choices(self) -> bool: ...  # noqa: D102

    @property
    def expected(self) -> int: ...  # noqa: D102

    @property
    def skipped(self) -> int: ...  # noqa: D102

    def prepare(self) -> None:
        """Check that the source is usable, before anything is written.

        Raises:
            SetupError: It is not.
        """

    def registrations(self) -> Iterator[Registration]:
        """Yield all voters, in bounded memory."""

    def close(self) -> None:
        """Release what `prepare` and `registrations` opened."""
