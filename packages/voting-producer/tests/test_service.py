"""Which source the settings describe."""

from collections.abc import Callable
from pathlib import Path

import pytest

from voting_core.exceptions import InputError
from voting_producer.service import DEFAULT_VOTERS, make_source
from voting_producer.settings import ProducerSettings
from voting_producer.sources.random_user import RandomUserSource
from voting_producer.sources.results import ResultsSource
from voting_producer.sources.synthetic import SyntheticSource


def test_the_source_follows_from_the_options(write_results: Callable[..., Path]) -> None:
    """A results file is replayed, without one voters are synthetic; --source takes precedence."""
    path = write_results(("OHIO", "ANN", "RED", 50))
    replay = make_source(ProducerSettings(results=path, scale=10))
    assert isinstance(replay, ResultsSource)
    assert replay.expected == 5
    synthetic = make_source(ProducerSettings())
    assert isinstance(synthetic, SyntheticSource)
    assert synthetic.expected == DEFAULT_VOTERS
    random_user = make_source(ProducerSettings(source="random-user", voters=7, results=path))
    assert isinstance(random_user, RandomUserSource)
    assert random_user.expected == 7
    random_user.close()


def test_results_need_a_file() -> None:
    """To replay results without a file is refused."""
    with pytest.raises(InputError, match="--results"):
        make_source(ProducerSettings(source="results"))
