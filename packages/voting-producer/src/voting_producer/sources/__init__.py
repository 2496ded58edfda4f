"""Sources of voters: one module per source, all with one interface."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from voting_core.models import Candidate, Voter

__all__ = ["Registration", "Source"]


class Registration(NamedTuple):
    """A voter to register, and whether the voter casts a ballot."""

    voter: Voter
    casts_ballot: bool


class Source(ABC):
    """Voters, in the same order in every run.

    Attributes:
        candidates: The candidates of the source; empty if it works with any.
        has_choices: Whether each voter has a choice; otherwise the consumer draws it.
        skipped: Number of malformed people skipped so far.
    """

    candidates: tuple[Candidate, ...] = ()
    has_choices: bool = False
    skipped: int = 0

    @property
    @abstractmethod
    def expected(self) -> int:
        """Number of ballots, including those of malformed people that will be skipped."""

    def prepare(self) -> None:  # noqa: B027
        """Check that the source is usable, before anything is written.

        Raises:
            SetupError: The source is unusable.
        """

    @abstractmethod
    def registrations(self) -> Iterator[Registration]:
        """Yield all voters, in bounded memory."""

    def close(self) -> None:  # noqa: B027
        """Release what `prepare` and `registrations` opened."""
