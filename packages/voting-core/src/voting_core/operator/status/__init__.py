"""The state of the pipeline: facts gathered from Kafka and PostgreSQL, and their diagnosis."""

from voting_core.operator.status.diagnosis import Diagnosis, Kind, Problem, diagnose
from voting_core.operator.status.facts import Facts
from voting_core.operator.status.gather import gather_facts
from voting_core.operator.status.pipeline import KafkaStatus, kafka_status

__all__ = [
    "Diagnosis",
    "Facts",
    "KafkaStatus",
    "Kind",
    "Problem",
    "diagnose",
    "gather_facts",
    "kafka_status",
]
