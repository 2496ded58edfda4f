"""The rules of the protocol, how each is removed, and the tests that must turn red then.

docs/protocol/exactly-once.md explains the rules. The anchors are short, so that they survive a
rewording.
"""

import attrs

__all__ = ["RULES", "Rule"]

_CONSUMER = "packages/voting-consumer/src/voting_consumer"
_CORE = "packages/voting-core/src/voting_core"
_STREAM = "packages/voting-stream/src/voting_stream"

_BAD_RECORDS = "tests/test_bad_records.py"
_CONSUMER_TESTS = "tests/test_consumer.py"
_INTERLEAVINGS = "tests/test_interleavings.py"
_ZOMBIES = "tests/test_zombies.py"


@attrs.frozen(kw_only=True)
class Rule:
    """A rule that can be removed.

    Attributes:
        name: Its name on the command line.
        rule: What holds, in one sentence.
        file: The source file, relative to the root.
        anchor: The text in it that is replaced; it must occur exactly once.
        replacement: The text without the rule.
        tests: pytest node ids, relative to the root.
    """

    name: str
    rule: str
    file: str
    anchor: str
    replacement: str = ""
    tests: tuple[str, ...]


RULES = (
    Rule(
        name="one-vote-per-voter",
        rule="A voter who has a vote does not get a second one.",
        file=f"{_CORE}/database/decisions.py",
        anchor=" ON CONFLICT (voter_id) DO NOTHING",
        tests=(f"{_INTERLEAVINGS}::test_one_voter_on_two_partitions_has_one_vote",),
    ),
    Rule(
        name="first-ballot-counts",
        rule="Of several valid ballots of a voter in a batch the first counts.",
        file=f"{_CONSUMER}/validation.py",
        anchor="elif ballot.voter_id in votes:",
        replacement="elif False:",
        tests=("packages/voting-consumer/tests/test_validation.py",),
    ),
    Rule(
        name="one-database-transaction",
        rule="A batch is decided in one database transaction.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="with conn.transaction():\n            stored_decisions.lock_partitions",
        replacement="if True:\n            stored_decisions.lock_partitions",
        tests=(f"{_INTERLEAVINGS}::test_two_deciders_on_one_partition_make_one_decision",),
    ),
    Rule(
        name="partition-lock",
        rule="The lock of a partition excludes a second decider.",
        file=f"{_CORE}/database/decisions.py",
        anchor="SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
        replacement="SELECT hashtextextended(%s, 0)",
        tests=(f"{_INTERLEAVINGS}::test_two_deciders_on_one_partition_make_one_decision",),
    ),
    Rule(
        name="decisions-are-final",
        rule="A record that has a decision keeps it.",
        file=f"{_CORE}/database/decisions.py",
        anchor="UNION ALL SELECT source_offset FROM rejections WHERE {_IN_RANGE}",
        replacement="UNION ALL SELECT source_offset FROM rejections WHERE {_IN_RANGE} LIMIT 0",
        tests=(
            f"{_INTERLEAVINGS}::test_two_deciders_on_one_partition_make_one_decision",
            f"{_CONSUMER_TESTS}::test_a_decision_is_final",
        ),
    ),
    Rule(
        name="refused-row-is-rejected",
        rule="A row that the database refuses becomes a rejection.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="except (psycopg.DataError, psycopg.IntegrityError) as error:",
        replacement="except ZeroDivisionError as error:",
        tests=(f"{_BAD_RECORDS}::test_a_refused_row_is_rejected_alone",),
    ),
    Rule(
        name="refused-row-is-rejected-alone",
        rule="A row that the database refuses does not affect the rest of its batch.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="if len(records) > 1:",
        replacement="if False:",
        tests=(f"{_BAD_RECORDS}::test_a_refused_row_is_rejected_alone",),
    ),
    Rule(
        name="lock-timeout",
        rule="A paused consumer holds the lock of a partition for 10 s at most.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="SET idle_in_transaction_session_timeout = ",
        replacement="SELECT -- ",
        tests=(f"{_ZOMBIES}::test_a_zombie_changes_nothing_when_it_resumes",),
    ),
    Rule(
        name="times-in-utc",
        rule="Times are read in UTC, whatever the time zone of the database.",
        file=f"{_CORE}/database/connection.py",
        anchor="SET TIME ZONE 'UTC'",
        replacement="SELECT 1",
        tests=(f"{_BAD_RECORDS}::test_times_at_the_ends_of_the_calendar_can_be_read_back",),
    ),
    Rule(
        name="checkpoint-is-published",
        rule="Each batch publishes the next offset of its partitions to voting_progress.",
        file=f"{_CONSUMER}/publisher.py",
        anchor="produce(topics.VOTING_PROGRESS.name, encode_checkpoint(after), after.key)",
        tests=(
            f"{_CONSUMER_TESTS}::test_lost_group_offsets_change_nothing",
            f"{_INTERLEAVINGS}::test_a_batch_of_an_earlier_generation_is_not_published",
        ),
    ),
    Rule(
        name="publish-only-missing-decisions",
        rule="An output topic that holds a decision does not get it again.",
        file=f"{_CONSUMER}/publisher.py",
        anchor="if stored.vote.coordinates.offset >= before.votes.next_offset:",
        replacement="if True:",
        tests=(f"{_CONSUMER_TESTS}::test_a_recreated_output_topic_is_filled_again",),
    ),
    Rule(
        name="recreated-topic-is-filled",
        rule="An output topic with another id holds no decisions.",
        file=f"{_CONSUMER}/resume.py",
        anchor=" and output.topic_id == topic_id",
        tests=(
            f"{_CONSUMER_TESTS}::test_a_recreated_output_topic_is_filled_again",
            "packages/voting-consumer/tests/test_resume.py",
        ),
    ),
    Rule(
        name="offsets-in-the-transaction",
        rule="The offsets of the group are part of the transaction, so that Kafka checks it.",
        file=f"{_CONSUMER}/publisher.py",
        anchor="            self._send_offsets(next_offsets, group_metadata)\n",
        tests=(
            f"{_INTERLEAVINGS}::test_a_batch_of_an_earlier_generation_is_not_published",
            f"{_INTERLEAVINGS}::test_a_batch_is_published_in_the_generation_of_its_poll",
        ),
    ),
    Rule(
        name="metadata-of-the-poll",
        rule="A batch is published with the group metadata of its poll.",
        file=f"{_CONSUMER}/loop.py",
        anchor="offsets, batch.group_metadata)",
        replacement="offsets, self._consumer.consumer_group_metadata())",
        tests=(f"{_INTERLEAVINGS}::test_a_batch_is_published_in_the_generation_of_its_poll",),
    ),
    Rule(
        name="no-batch-without-a-generation",
        rule="A batch polled outside the group is dropped.",
        file=f"{_CONSUMER}/loop.py",
        anchor=" or generation_of(group_metadata) < 0",
        tests=(f"{_INTERLEAVINGS}::test_a_consumer_outside_its_group_drops_what_it_polls",),
    ),
    Rule(
        name="no-batch-across-a-rebalance",
        rule="A batch during whose poll the assignment changed is dropped.",
        file=f"{_CONSUMER}/loop.py",
        anchor="rebalances != self._rebalances or ",
        tests=("packages/voting-consumer/tests/test_loop.py",),
    ),
    Rule(
        name="stable-offsets",
        rule="A resuming consumer waits for the commits of former owners of its partitions.",
        file=f"{_CONSUMER}/loop.py",
        anchor='isolation_level="read_committed"',
        replacement='isolation_level="read_uncommitted"',
        tests=(f"{_INTERLEAVINGS}::test_a_resuming_consumer_waits_for_a_commit_in_flight",),
    ),
    Rule(
        name="hung-producer-is-replaced",
        rule="A producer that hangs while it sends offsets is replaced.",
        file=f"{_CONSUMER}/publisher.py",
        anchor="except TimeoutError as error:",
        replacement="except ZeroDivisionError as error:",
        tests=("packages/voting-consumer/tests/test_publisher.py",),
    ),
    Rule(
        name="short-transactions",
        rule="A transaction that is left open blocks readers for 10 s at most.",
        file=f"{_CONSUMER}/publisher.py",
        anchor="TRANSACTION_SECONDS = 10\n",
        replacement="TRANSACTION_SECONDS = 600\n",
        tests=(f"{_ZOMBIES}::test_a_zombie_changes_nothing_when_it_resumes[offsets sent-two]",),
    ),
    Rule(
        name="committed-checkpoints",
        rule="Only committed checkpoints are read.",
        file=f"{_CORE}/kafka/reader.py",
        anchor='isolation_level="read_committed"',
        replacement='isolation_level="read_uncommitted"',
        tests=(f"{_INTERLEAVINGS}::test_a_checkpoint_behind_an_open_transaction_is_waited_for",),
    ),
    Rule(
        name="checkpoints-to-the-end",
        rule="Checkpoints are read to the end of all records, not of the committed ones.",
        file=f"{_CORE}/kafka/admin.py",
        anchor="IsolationLevel.READ_UNCOMMITTED",
        replacement="IsolationLevel.READ_COMMITTED",
        tests=(f"{_INTERLEAVINGS}::test_a_checkpoint_behind_an_open_transaction_is_waited_for",),
    ),
    Rule(
        name="progress-is-not-recreated",
        rule="`voting init` does not recreate voting_progress beside published decisions.",
        file=f"{_CORE}/operator/setup.py",
        anchor="if VOTING_PROGRESS.name in existing:",
        replacement="if True:",
        tests=(f"{_CONSUMER_TESTS}::test_progress_is_not_recreated_beside_published_decisions",),
    ),
    Rule(
        name="log-topics-keep-all-records",
        rule="A log topic with a limited retention is refused.",
        file=f"{_CORE}/kafka/admin.py",
        anchor="if found[name].value != value:",
        replacement="if False:",
        tests=(f"{_CONSUMER_TESTS}::test_a_log_topic_with_a_limited_retention_is_refused",),
    ),
    Rule(
        name="committed-votes",
        rule="The stream counts committed votes only.",
        file=f"{_STREAM}/query.py",
        anchor='.option("kafka.isolation.level", "read_committed")',
        tests=(f"{_INTERLEAVINGS}::test_an_aborted_vote_is_not_tallied",),
    ),
    Rule(
        name="stream-from-the-beginning",
        rule="Without a checkpoint the stream counts from the beginning.",
        file=f"{_STREAM}/query.py",
        anchor='"startingOffsets", "earliest"',
        replacement='"startingOffsets", "latest"',
        tests=(f"{_INTERLEAVINGS}::test_an_aborted_vote_is_not_tallied",),
    ),
    Rule(
        name="checkpoint-of-the-topic-id",
        rule="A recreated votes_topic is counted in a checkpoint of its own.",
        file=f"{_STREAM}/session.py",
        anchor='return f"{root}/{votes_topic_id}"',
        replacement='return f"{root}/checkpoint"',
        tests=("packages/voting-stream/tests/test_session.py",),
    ),
    Rule(
        name="one-driver-per-checkpoint",
        rule="A second driver does not use a checkpoint that is in use.",
        file=f"{_STREAM}/session.py",
        anchor="channel.tryLock()",
        replacement="channel",
        tests=("packages/voting-stream/tests/test_session.py::test_a_second_driver_gives_up",),
    ),
    Rule(
        name="highest-total-counts",
        rule="A reader of the aggregates keeps the highest total of each key.",
        file=f"{_CORE}/aggregates.py",
        anchor='known["total_votes"] > row["total_votes"]',
        replacement="False",
        tests=("packages/voting-core/tests/test_aggregates.py",),
    ),
    Rule(
        name="totals-of-one-topic",
        rule="Totals that count another votes_topic are ignored.",
        file=f"{_CORE}/aggregates.py",
        anchor='row["votes_topic_id"] != self.votes_topic_id',
        replacement="False",
        tests=("packages/voting-core/tests/test_aggregates.py",),
    ),
)
