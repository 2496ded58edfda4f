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
_CONSUMER_FAULTS = "tests/test_consumer_faults.py"
_INTERLEAVINGS = "tests/test_interleavings.py"
_IN_FLIGHT_TESTS = "packages/voting-consumer/tests/test_in_flight.py"
_LOOP_TESTS = "packages/voting-consumer/tests/test_loop.py"
_PUBLISHER_TESTS = "packages/voting-consumer/tests/test_publisher.py"
_STREAM_TESTS = "packages/voting-stream/tests/test_service.py"
_AGGREGATION_TESTS = "packages/voting-stream/tests/test_aggregation.py"
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
        anchor="with conn.transaction():\n            conn.execute(",
        replacement="if True:\n            conn.execute(",
        tests=(f"{_INTERLEAVINGS}::test_two_deciders_on_one_partition_make_one_decision",),
    ),
    Rule(
        name="partition-lock",
        rule="The lock of a partition excludes a second decider.",
        file=f"{_CORE}/database/decisions.py",
        anchor="SELECT pg_advisory_xact_lock(hashtextextended(name, 0))",
        replacement="SELECT hashtextextended(name, 0)",
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
        name="candidates-of-the-decision",
        rule="A batch is decided by the candidates that are registered when it is stored.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="if voter_register.candidates_version(conn) != known.version:",
        replacement="if False:",
        tests=(f"{_INTERLEAVINGS}::test_candidates_that_change_meanwhile_are_read_again",),
    ),
    Rule(
        name="candidates-after-a-deletion",
        rule="After the database refuses a vote, the candidates are read again.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="still among the known ones.\n                self._rules = None\n",
        replacement="still among the known ones.\n",
        tests=(f"{_INTERLEAVINGS}::test_a_ballot_for_a_deleted_candidate_is_rejected",),
    ),
    Rule(
        name="decided-in-order",
        rule="A batch is decided after the one before.",
        file=f"{_CONSUMER}/in_flight.py",
        anchor="            previous.decided.result()",
        replacement="            pass",
        tests=(_IN_FLIGHT_TESTS,),
    ),
    Rule(
        name="published-in-order",
        rule="No batch is published if the one before is not.",
        file=f"{_CONSUMER}/in_flight.py",
        anchor="if previous is not None and previous.published.exception() is not None:",
        replacement="if False:",
        tests=(_IN_FLIGHT_TESTS,),
    ),
    Rule(
        name="abandoned-after-an-error",
        rule="Nothing is published after an error has ended the consumer.",
        file=f"{_CONSUMER}/in_flight.py",
        anchor="if self._abandoned.is_set():",
        replacement="if False:",
        tests=(_IN_FLIGHT_TESTS, _LOOP_TESTS),
    ),
    Rule(
        name="finished-before-a-revocation",
        rule="A partition is given up when none of the batches in flight can still be published.",
        file=f"{_CONSUMER}/loop.py",
        anchor="        self._release()\n        self._rebalances",
        replacement="        self._rebalances",
        tests=(_LOOP_TESTS,),
    ),
    Rule(
        name="database-has-the-batch-before",
        rule="No decision is made in a database that lacks the decisions on the batch before.",
        file=f"{_CONSUMER}/in_flight.py",
        anchor="for partition, each in before.items()",
        replacement="for partition, each in confirmed.items()",
        tests=(_IN_FLIGHT_TESTS,),
    ),
    Rule(
        name="finished-before-resuming",
        rule="A consumer reads its checkpoints when none of its batches can still be published.",
        file=f"{_CONSUMER}/loop.py",
        anchor="        self._await_published()\n        await_stable_offsets",
        replacement="        await_stable_offsets",
        tests=(_LOOP_TESTS,),
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
        anchor="SET LOCAL idle_in_transaction_session_timeout = ",
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
        file=f"{_CORE}/kafka/reader.py",
        anchor="ranges = topic_offset_ranges(admin, [topic])",
        replacement="ranges = topic_offset_ranges(admin, [topic], IsolationLevel.READ_COMMITTED)",
        tests=(f"{_INTERLEAVINGS}::test_a_checkpoint_behind_an_open_transaction_is_waited_for",),
    ),
    Rule(
        name="progress-is-not-recreated",
        rule="`voting init` does not recreate voting_progress beside published decisions.",
        file=f"{_CORE}/operator/setup.py",
        anchor="if VOTING_PROGRESS.name not in existing:",
        replacement="if False:",
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
        name="input-topic-before-decisions",
        rule="Records of a recreated voters_topic are not decided under the old id.",
        file=f"{_CONSUMER}/loop.py",
        anchor="return None\n        self._wait_out(self._guard.check_input)",
        replacement="return None",
        tests=(f"{_LOOP_TESTS}::test_records_of_a_recreated_topic_are_not_decided",),
    ),
    Rule(
        name="output-topics-before-commit",
        rule="Nothing is committed to a recreated output topic.",
        file=f"{_CONSUMER}/publisher.py",
        anchor="self._call(self._flush)\n            self._guard.check_outputs()",
        replacement="self._call(self._flush)",
        tests=(f"{_PUBLISHER_TESTS}::test_nothing_is_committed_to_a_recreated_topic",),
    ),
    Rule(
        name="database-of-the-election",
        rule="No decision is made in the database of another election.",
        file=f"{_CORE}/service/identity.py",
        anchor="if stored is None or stored.election_id != election.election_id:",
        replacement="if stored is None:",
        tests=(f"{_CONSUMER_FAULTS}::test_a_swapped_database_gets_no_decision",),
    ),
    Rule(
        name="database-not-older",
        rule="No decision is made in a database that lacks published decisions.",
        file=f"{_CORE}/service/identity.py",
        anchor="in decided_ends.items() if end > 0}",
        replacement="in decided_ends.items() if False}",
        tests=(f"{_CONSUMER_FAULTS}::test_a_database_that_becomes_older_gets_no_decision",),
    ),
    Rule(
        name="checkpoints-never-go-back",
        rule="A forged checkpoint does not publish decisions a second time.",
        file=f"{_CORE}/checkpoint.py",
        anchor="if after.topic_id == before.topic_id and after.next_offset < before.next_offset:",
        replacement="if False:",
        tests=(f"{_CONSUMER_FAULTS}::test_a_forged_checkpoint_publishes_nothing_twice[present]",),
    ),
    Rule(
        name="one-consumer-group",
        rule="Only one consumer group decides and publishes.",
        file=f"{_CORE}/database/election.py",
        anchor="if present not in (None, group):",
        replacement="if False:",
        tests=(f"{_CONSUMER_FAULTS}::test_a_second_consumer_group_is_refused",),
    ),
    Rule(
        name="durable-decisions",
        rule="A decision is on disk before it is published.",
        file=f"{_CONSUMER}/decisions.py",
        anchor="stored_decisions.require_durable_commit(conn)",
        tests=(f"{_INTERLEAVINGS}::test_the_commit_of_a_decision_waits_for_the_disk[off-on]",),
    ),
    Rule(
        name="votes-of-this-topic",
        rule="The stream counts only votes that the consumer wrote for this topic.",
        file=f"{_STREAM}/aggregation.py",
        anchor='F.col("is_own") & is_complete',
        replacement="is_complete",
        tests=(f"{_AGGREGATION_TESTS}::test_foreign_records_are_skipped_and_counted",),
    ),
    Rule(
        name="sums-are-proven",
        rule="No sum of totals exceeds the accepted votes.",
        file=f"{_CORE}/aggregates.py",
        anchor="if total > accepted}",
        replacement="if False}",
        tests=("packages/voting-core/tests/test_aggregates.py",),
    ),
    Rule(
        name="keys-fit-their-fields",
        rule="A total whose key does not fit its fields is not a total.",
        file=f"{_CORE}/aggregates.py",
        anchor="if not _key_fits(",
        replacement="if False and _key_fits(",
        tests=("packages/voting-core/tests/test_aggregates.py",),
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
        name="heartbeat-of-the-totals",
        rule="In real time the stream has no heartbeat while a vote waits without a new total.",
        file=f"{_STREAM}/count.py",
        anchor="return has_counted or totals.are_complete(waiting)",
        replacement="return True",
        tests=(f"{_STREAM_TESTS}::test_the_heartbeat_in_real_time_mode_is_that_of_the_totals",),
    ),
    Rule(
        name="catch-up-before-real-time",
        rule="Real-time mode begins after micro-batches have counted a large backlog.",
        file=f"{_STREAM}/count.py",
        anchor="if sum(each.length for each in waiting.values()) <= BEGIN_VOTES:",
        replacement="if True:",
        tests=(f"{_STREAM_TESTS}::test_a_backlog_is_counted_before_real_time_mode_begins",),
    ),
    Rule(
        name="few-votes-counted-again",
        rule="Real-time mode is not left while micro-batches would count many votes again.",
        file=f"{_STREAM}/count.py",
        anchor="if behind > LEAVE_VOTES and counted_again <= max(RECOUNT_VOTES, behind):",
        replacement="if behind > LEAVE_VOTES:",
        tests=(f"{_STREAM_TESTS}::test_real_time_mode_is_left_when_many_votes_wait",),
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
