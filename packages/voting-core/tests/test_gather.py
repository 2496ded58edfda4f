"""What becomes of the errors while facts are gathered."""

from collections.abc import Callable

import pytest
import typed_settings as ts

from voting_core.database import migrations
from voting_core.exceptions import InputError, SchemaError, UnreachableError
from voting_core.operator.status import Facts, Kind, diagnose, gather, gather_facts
from voting_core.operator.status.facts import BrokerFacts, Failure
from voting_core.operator.status.report import status_json
from voting_core.service.settings import DatabaseSettings, KafkaSettings


@pytest.fixture(autouse=True)
def _without_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka is unreachable."""
    half = gather._KafkaHalf(None, Failure("connection refused"), BrokerFacts())
    monkeypatch.setattr(gather, "_read_kafka", lambda _: half)


def facts_after(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """Return the facts if connecting to PostgreSQL ends with an error."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(gather, "connect", fail)
    return gather_facts(KafkaSettings(), DatabaseSettings())


def test_a_malformed_url_is_a_usage_error() -> None:
    """Nothing is known about the database, so it is neither unreachable nor set up wrongly."""
    with pytest.raises(InputError, match="invalid database URL"):
        gather_facts(KafkaSettings(), DatabaseSettings(ts.SecretStr("postgresql://a:b#c@h/d")))


def newer(monkeypatch: pytest.MonkeyPatch) -> Exception:
    """Return the error of a schema that a newer program has migrated."""
    monkeypatch.setattr(migrations, "applied_version", lambda _: 99)
    with pytest.raises(SchemaError) as caught:
        migrations.check_schema(None)  # type: ignore[arg-type]
    return caught.value


def empty(monkeypatch: pytest.MonkeyPatch) -> Exception:
    """Return the error of a database without tables."""
    monkeypatch.setattr(migrations, "applied_version", lambda _: 0)
    with pytest.raises(SchemaError) as caught:
        migrations.check_schema(None)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("error_of", "remedy"), [(newer, "update this program"), (empty, "run `voting init`")]
)
def test_the_remedy_is_that_of_the_error(
    error_of: Callable[[pytest.MonkeyPatch], Exception],
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`voting init` corrects some errors of the setup, and not others."""
    facts = facts_after(error_of(monkeypatch), monkeypatch)
    diagnosis = diagnose(facts)
    assert diagnosis.problems[0].kind is Kind.NOT_SET_UP
    assert diagnosis.problems[0].remedy == remedy
    assert remedy not in diagnosis.problems[0].cause
    assert status_json(facts, diagnosis)["postgres"]["reachable"] is True


def test_an_unreachable_database_is_no_error_of_the_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server has to be started."""
    facts = facts_after(UnreachableError("cannot connect"), monkeypatch)
    assert {each.kind for each in diagnose(facts).problems} == {Kind.NO_BROKER, Kind.NO_DATABASE}
    assert status_json(facts, diagnose(facts))["postgres"]["reachable"] is False
