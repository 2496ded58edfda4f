"""The command line: `python -m mutations [NAME…]`, which `nox -s mutations` runs."""

from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mutations.copied_tree import TestRunError, copied_tree
from mutations.removal import RemovalError, remove_rule
from mutations.rules import RULES, Rule


@click.command(name="mutations")
@click.argument(
    "names", nargs=-1, metavar="[NAME]…", type=click.Choice([rule.name for rule in RULES])
)
def main(names: Sequence[str]) -> None:
    """Remove rules of the protocol, one at a time, and show which tests turn red.

    Without names all rules are removed in turn. The exit code is 0 only if every test passes with
    all rules in place, and at least one test fails without each.
    """
    rules = [rule for rule in RULES if rule.name in names] if names else list(RULES)
    click.echo("With all rules in place …")
    if problem := find_unpatched_problem(rules):
        raise click.ClickException(problem)
    results: dict[str, str] = {}
    untested = []
    for rule in rules:
        click.echo(f"Without {rule.name} …")
        try:
            red = failing_tests(rule)
        except (RemovalError, TestRunError) as error:
            red, result = (), str(error)
        else:
            result = "\n".join(red) or "none"
        if not red:
            untested.append(rule.name)
        results[rule.rule] = result
        click.echo(result)
    Console().print(table_of(results))
    if untested:
        raise click.ClickException(f"no test turned red without: {', '.join(untested)}")


def find_unpatched_problem(rules: Sequence[Rule]) -> str | None:
    """Run the rules' tests with all rules in place; return what is wrong, or None."""
    tests = sorted({test for rule in rules for test in rule.tests})
    with copied_tree() as tree:
        try:
            outcome = tree.run_tests(tests)
        except TestRunError as error:
            return str(error)
    return (
        f"failed with all rules in place: {', '.join(outcome.failed)}" if outcome.failed else None
    )


def failing_tests(rule: Rule) -> tuple[str, ...]:
    """Return the names of a rule's tests that fail without it.

    Raises:
        RemovalError: The rule cannot be removed.
        TestRunError: The tests cannot be run.
    """
    with copied_tree() as tree:
        remove_rule(rule, tree.root)
        return tree.run_tests(rule.tests).failed


def table_of(results: Mapping[str, str]) -> Table:
    """Return a table of the rules, each with the tests that turned red, or with an error."""
    table = Table("rule", "red without it", title="Rules and the tests that fail without them")
    for rule, result in results.items():
        # As text: the brackets of a test's parameters are no markup.
        table.add_row(Text(rule), Text(result))
    return table


if __name__ == "__main__":
    main()
