"""Differences between counts."""

from voting_core.operator.reconcile import Difference, Findings
from voting_core.operator.reconcile.differences import MAX_NAMED


def test_only_the_first_of_a_kind_are_kept() -> None:
    """A bounded number of differences is kept, and the number of further ones."""
    findings = Findings()
    for number in range(MAX_NAMED + 5):
        findings.add("minute", [Difference(str(number), {"a": 0, "b": 1})])
    findings.add("voter", [Difference("v1", {"a": 0, "b": 1})], number=1000)
    assert [each.figure for each in findings.named] == [*map(str, range(MAX_NAMED)), "v1"]
    assert findings.omitted == {"minute": 5, "voter": 999}
