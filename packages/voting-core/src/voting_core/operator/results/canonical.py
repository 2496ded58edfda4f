"""Comparing a file with the only valid form of its content."""


def first_difference(found: bytes, expected: bytes) -> int | None:
    """Return the first line that differs, counted from 1; None if there is no difference."""
    if found == expected:
        return None
    lines, wanted = found.split(b"\n"), expected.split(b"\n")
    for number, (line, other) in enumerate(zip(lines, wanted, strict=False), start=1):
        if line != other:
            return number
    return min(len(lines), len(wanted)) + 1
