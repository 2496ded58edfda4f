"""Every rule that `nox -s mutations` removes can be removed, and names tests that exist."""

import ast

import pytest
from rich.console import Console

from mutations.__main__ import table_of
from mutations.removal import RemovalError, without_rule
from mutations.rules import RULES, Rule
from testkit.paths import ROOT

RULE = Rule(name="r", rule="It holds.", file="f.py", anchor="if x:", replacement="if 1:", tests=())


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_rule_can_be_removed(rule: Rule) -> None:
    """The anchor occurs exactly once in the source, and the rest is still Python."""
    source = (ROOT / rule.file).read_text(encoding="utf-8")
    assert without_rule(rule, source) != source


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_rule_names_tests_that_exist(rule: Rule) -> None:
    """Each node id is a file with tests, or a test in it."""
    assert rule.tests
    for node_id in rule.tests:
        path, _, name = node_id.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        tests = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
        assert not name or name.partition("[")[0] in tests


def test_names_are_unique() -> None:
    """A name on the command line means one rule."""
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("source", ["", "if x: pass\nif x: pass\n"])
def test_an_anchor_occurs_exactly_once(source: str) -> None:
    """A rule that is gone, or whose anchor is ambiguous, is an error."""
    with pytest.raises(RemovalError, match="instead of once"):
        without_rule(RULE, source)


def test_a_removal_leaves_valid_python() -> None:
    """A removal after which the module cannot be imported would turn any test red."""
    with pytest.raises(RemovalError, match="no Python"):
        without_rule(RULE, "if x:")


def test_the_table_has_each_rule_and_its_red_tests() -> None:
    """Names of tests are shown as they are, with their parameters."""
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table_of({"It holds.": "test_it[/a-b]\ntest_it[c]"}))
    for text in ("It holds.", "test_it[/a-b]", "test_it[c]"):
        assert text in capture.get()
