"""Do the places that hold the votes agree?"""

from collections.abc import Mapping
from typing import Any

import attrs
import psycopg
from confluent_kafka.admin import AdminClient

from voting_core.census import Count, count_aggregates, count_postgres, count_votes_topic
from voting_core.settings import KafkaSettings

__all__ = ["Difference", "differences", "take_census"]


@attrs.frozen
class Difference:
    """One figure on which the places disagree.

    Attributes:
        figure: What is counted, such as "votes" or "location Ohio".
        found: The count by the place's name.
    """

    figure: str
    found: Mapping[str, int]


def take_census(
    settings: KafkaSettings, admin: AdminClient, conn: psycopg.Connection
) -> dict[str, Count]:
    """Count PostgreSQL, `votes_topic` and the aggregates, each by itself."""
    return {
        "postgres": count_postgres(conn),
        "votes_topic": count_votes_topic(settings, admin, conn),
        "aggregates": count_aggregates(settings, admin),
    }


def differences(counts: Mapping[str, Count]) -> list[Difference]:
    """Compare counts figure by figure; none different means that the places agree."""
    found = []

    def compare(figure: str, values: Mapping[str, int]) -> None:
        if len(set(values.values())) > 1:
            found.append(Difference(figure, values))

    def compare_each(figure: str, of: str) -> None:
        groups: dict[str, Mapping[Any, int]] = {
            place: getattr(count, of) for place, count in counts.items()
        }
        for key in sorted(set().union(*groups.values())):
            text = ", ".join(key) if isinstance(key, tuple) else key
            compare(
                f"{figure} {text}", {place: group.get(key, 0) for place, group in groups.items()}
            )

    compare("votes", {place: count.votes for place, count in counts.items()})
    for place, count in counts.items():
        compare(f"duplicates in {place}", {place: count.duplicates, "allowed": 0})
    compare_each("candidate", "candidates")
    compare_each("location", "locations")
    compare_each("location and candidate", "candidates_by_location")
    return found
