"""Adding and subtracting counts."""

import attrs
from sample_counts import COUNT, FOR_BOB


def test_candidates_of_one_name_add_up() -> None:
    """Two candidates with the same name are added up by name."""
    count = attrs.evolve(COUNT, names={"ada": "Ada", "bob": "Ada"})
    assert count.by_name() == {"Ada": 3}


def test_subtracting_and_adding_a_part_restores_the_count() -> None:
    """Subtracting a part leaves no entries of zero, and adding it again restores the count."""
    assert "bob" not in COUNT.minus(FOR_BOB).candidates
    assert COUNT.minus(FOR_BOB).plus(FOR_BOB) == COUNT
