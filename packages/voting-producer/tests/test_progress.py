"""Progress in the log."""

from structlog.testing import capture_logs

from voting_producer.progress import LogProgress


def test_logs_every_few_seconds_with_the_rate() -> None:
    """A line comes when the interval has passed, with the count and the rate since the last."""
    moments = iter([0.0, 1.0, 5.0, 6.0, 10.0])
    progress = LogProgress(1000, 5.0, lambda: next(moments))
    with capture_logs() as logs:
        for sent in (10, 20, 110, 120, 210):
            progress.update(sent)
    assert [(log["sent"], log["rate"], log["expected"]) for log in logs] == [
        (110, 20.0, 1000),
        (210, 20.0, 1000),
    ]
