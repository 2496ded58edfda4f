"""The candidates: those of the source, those already registered, or three fictitious ones."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from voting_core.exceptions import InputError
from voting_core.models import Candidate

DEFAULT_CANDIDATES = (
    Candidate(
        "nora-fields",
        "Nora Fields",
        "Meadow Alliance",
        "A schoolteacher who ran her town's council for two terms.",
        "Smaller classes, rural buses that run on Sundays, and clean rivers.",
    ),
    Candidate(
        "victor-hale",
        "Victor Hale",
        "Harbor Union",
        "A dock foreman turned union lawyer, born and living by the sea.",
        "Sound ports and bridges, fair overtime, and a lower tax on first homes.",
    ),
    Candidate(
        "imani-stone",
        "Imani Stone",
        "Lantern Party",
        "A physician who founded a chain of village clinics.",
        "A clinic within thirty minutes of everyone, open public data, and broadband.",
    ),
)


def candidate_id(name: str) -> str:
    """Return a readable id: the same for the same name, another one for another name."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:40].strip("-")
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{slug}-{digest}" if slug else digest


def candidates_to_add(
    wanted: Sequence[Candidate], registered: Mapping[str, Candidate]
) -> tuple[Candidate, ...]:
    """Return the candidates to register before the first voter.

    Args:
        wanted: The source's candidates; empty if it works with any.
        registered: The registered candidates by id.

    Raises:
        InputError: The source's candidates contradict those registered.
    """
    if not registered:
        return tuple(wanted) or DEFAULT_CANDIDATES
    for candidate in wanted:
        known = registered.get(candidate.candidate_id)
        if known is None:
            found = "no candidate with that id is registered"
        elif (known.candidate_name, known.party_affiliation) != (
            candidate.candidate_name,
            candidate.party_affiliation,
        ):
            found = f"the registered one is {_describe(known)}"
        else:
            continue
        raise InputError(
            "the source's candidates contradict those registered: "
            f"it has {_describe(candidate)}, {found}"
        )
    return ()


def _describe(candidate: Candidate) -> str:
    party = f" ({candidate.party_affiliation})" if candidate.party_affiliation else ""
    return f"{candidate.candidate_name!r}{party} as {candidate.candidate_id}"
