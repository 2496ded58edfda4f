"""The fenced blocks of a Markdown page: shell commands, and the output that the page shows."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

__all__ = ["Block", "BlockError", "check_output", "read_blocks", "read_page", "session_script"]

LANGUAGES = {"json", "output", "python", "sh", "sql", "text", "toml"}
"""What a fence may be: `sh` is run, `output` is what the commands before it must print."""

_FENCE = re.compile(r"^ *```(\S*)$")
_MARK = re.compile(r"^ *<!-- not run:(.*)-->$")
_ELLIPSIS = "…"


class BlockError(Exception):
    """A page has a block that is neither run nor marked, or whose output differs."""


@attrs.define
class Block:
    """A block of shell commands.

    Attributes:
        line: Where it begins in its page, counted from 1.
        code: The commands.
        skipped: Why it is not run; None for a block that is run.
        expected: The lines that it must print, in their order; others may be between.
    """

    line: int
    code: str
    skipped: str | None
    expected: list[str] = attrs.field(factory=list)


def read_page(page: Path) -> list[Block]:
    """Return the shell blocks of a file.

    Raises:
        BlockError: As `read_blocks`; the message names the file.
    """
    try:
        return read_blocks(page.read_text(encoding="utf-8"))
    except BlockError as error:
        raise BlockError(f"{page}, {error}") from error


def read_blocks(text: str) -> list[Block]:
    """Return the shell blocks of a page in their order.

    Raises:
        BlockError: A fence names no known language, or an output follows no block that is run.
    """
    blocks: list[Block] = []
    for line, language, skipped, body in _fences(text.splitlines()):
        if language not in LANGUAGES:
            raise BlockError(
                f"line {line}: the fence is {language!r}, not one of {sorted(LANGUAGES)}"
            )
        if language == "sh":
            blocks.append(Block(line, "\n".join(body), skipped))
        elif language == "output":
            if not blocks or blocks[-1].skipped is not None:
                raise BlockError(f"line {line}: an output without a block that is run before it")
            blocks[-1].expected += body
        elif skipped is not None:
            raise BlockError(f"line {line}: only shell blocks are run")
    return blocks


def _fences(lines: Sequence[str]) -> Iterator[tuple[int, str, str | None, list[str]]]:
    """Yield line, language, reason for not running and body of each fenced block."""
    reason: str | None = None
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if fence := _FENCE.match(line):
            yield number, fence[1], reason, _body(number, numbered)
            reason = None
        elif mark := _MARK.match(line):
            reason = mark[1].strip()
            if not reason:
                raise BlockError(f"line {number}: a mark without a reason")
        elif reason is not None:
            raise BlockError(f"line {number - 1}: a mark without a block")


def _body(start: int, numbered: Iterator[tuple[int, str]]) -> list[str]:
    body: list[str] = []
    for _, line in numbered:
        if line.strip() == "```":
            return body
        body.append(line)
    raise BlockError(f"line {start}: the fence is never closed")


def session_script(blocks: Sequence[Block], marker: str) -> str:
    """Return a script that runs the blocks in one shell, each after a line with the marker.

    The script ends with the first command that fails, and ends what runs in the background.

    Args:
        blocks: What to run.
        marker: Text that no command prints.
    """
    steps = "".join(f"echo '{marker}'\n{block.code}\n" for block in blocks)
    return f"exec 2>&1\nset -e\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n{steps}"


def check_output(block: Block, printed: str) -> None:
    """Compare what a block has printed with the lines that its page shows.

    Every line shown must be printed, in that order. `…` stands for any text, and any amount of
    white space equals any other.

    Raises:
        BlockError: A line is not printed.
    """
    lines = iter(printed.splitlines())
    for shown in block.expected:
        pattern = re.compile(r"\s+".join(map(_pattern, shown.split())))
        if not any(pattern.fullmatch(line.strip()) for line in lines):
            raise BlockError(
                f"line {block.line}: the page shows {shown!r}; the block printed:\n{printed}"
            )


def _pattern(word: str) -> str:
    return ".*".join(map(re.escape, word.split(_ELLIPSIS)))
