"""What counts as a block that is run, and what as the output that its page shows."""

import pytest
from shell_blocks import BlockError, check_output, read_blocks

PAGE = """\
<!-- not run: needs a Docker engine -->
```sh
docker ps
```

Text.

```sh
echo "two  words"; echo more
echo 17
```

```output
two words
1…
```
"""


def test_a_block_is_run_unless_it_is_marked() -> None:
    """The mark stands on the line before the fence and contains the reason."""
    marked, plain = read_blocks(PAGE)
    assert marked.skipped == "needs a Docker engine"
    assert plain.skipped is None
    assert plain.expected == ["two words", "1…"]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```\nls\n```\n", "line 1: the fence is ''"),
        ("```shell\nls\n```\n", "line 1: the fence is 'shell'"),
        ("<!-- not run: -->\n```sh\nls\n```\n", "line 1: a mark without a reason"),
        ("<!-- not run: why -->\n\nText.\n\n```sh\nls\n```\n", "line 1: a mark without a block"),
        ("```sh\nls\n", "line 1: the fence is never closed"),
        ("```output\nx\n```\n", "line 1: an output without a block"),
        (f"{PAGE}\n<!-- not run: never -->\n```json\n1\n```\n", "only shell blocks are run"),
    ],
)
def test_a_page_that_hides_a_block_is_refused(page: str, message: str) -> None:
    """No language, an unknown one, no reason, a mark in the wrong place, an open end."""
    with pytest.raises(BlockError, match=message):
        read_blocks(page)


@pytest.mark.parametrize(
    ("printed", "agrees"),
    [
        ("two words\nmore\n17\n", True),
        ("  two   words\n1\n", True),
        ("17\ntwo words\n", False),
        ("two words\n27\n", False),
        ("", False),
    ],
)
def test_the_lines_that_a_page_shows_are_printed_in_their_order(printed: str, agrees: bool) -> None:
    """Others may be between them; `…` is any text."""
    block = read_blocks(PAGE)[1]
    if agrees:
        check_output(block, printed)
    else:
        with pytest.raises(BlockError, match="the page shows"):
            check_output(block, printed)
