"""Errors of results.

* ContentError: a file of a bundle is invalid
* RefusedError: the results cannot be certified
"""

from collections.abc import Sequence

from voting_core.exceptions import VotingError


class ContentError(VotingError):
    """A file of a bundle is invalid, in a line counted from 1 or as a whole."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what if line is None else f"line {line:,} {what}")
        self.what = what
        self.line = line


class RefusedError(VotingError):
    """The results cannot be certified.

    Attributes:
        reasons: The reasons, one line each; at least one.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"not certified: {'; '.join(reasons)}")
        self.reasons = tuple(reasons)
