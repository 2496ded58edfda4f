"""Reading and checking results files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from voting_core.exceptions import InputError
from voting_producer.sources.results_file import read_results

HEADER = "year,state,county_name,county_fips,office,candidate,party,candidatevotes,totalvotes"
GOOD = "2020,OHIO,A,1,US PRESIDENT,ANN,RED,5,5"

TWO_LINES = '2020,OHIO,"A\nB",1,US PRESIDENT,ANN,RED,5,5'


def bad(count: str) -> str:
    """Return a row with this number of votes."""
    return f"2020,OHIO,A,1,US PRESIDENT,BOB,BLUE,{count},5"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n\n", "is empty"),
        (f"{HEADER}\n".encode(), "has no rows"),
        (b"state,candidate\nOHIO,ANN\n", "lacks the column 'candidatevotes'"),
        (b"candidate,candidatevotes\nANN,1\n", "lacks the column 'state'"),
        (b"state,state,candidate,candidatevotes\nA,B,C,1\n", "has the column 'state' twice"),
        (f"{HEADER}\n{GOOD}\n{bad('-1')}\n".encode(), "row 2 (line 3): candidatevotes is '-1'"),
        (f"{HEADER}\n{bad('1.5')}\n".encode(), "row 1 (line 2): candidatevotes is '1.5'"),
        (f"{HEADER}\n{bad('')}\n".encode(), "row 1 (line 2): candidatevotes is ''"),
        (f"{HEADER}\n{bad('NA')}\n".encode(), "row 1 (line 2): candidatevotes is 'NA'"),
        (f"{HEADER}\n{bad('1_0')}\n".encode(), "row 1 (line 2): candidatevotes is '1_0'"),
        (f"{HEADER}\n{bad('٣')}\n".encode(), "row 1 (line 2): candidatevotes is '٣'"),
        (f"{HEADER}\n{bad('9' * 5000)}\n".encode(), "row 1 (line 2): candidatevotes is '999"),
        (f"{HEADER}\n{GOOD}\n\n\n{bad('x')}\n".encode(), "row 2 (line 5)"),
        (f"{HEADER}\n{TWO_LINES}\n{bad('x')}\n".encode(), "row 2 (line 4)"),
        (f"{HEADER}\r\n{GOOD}\r\n{bad('x')}\r\n".encode(), "row 2 (line 3)"),
        (f"{HEADER}\n{GOOD.replace('OHIO', ' ')}\n".encode(), "row 1 (line 2): state is empty"),
        (f"{HEADER}\n{GOOD.replace('ANN', '')}\n".encode(), "row 1 (line 2): candidate is empty"),
        (f"{HEADER}\n{GOOD},9\n".encode(), "row 1 (line 2) has 10 fields, the header has 9"),
        (f"{HEADER}\n{GOOD}\n".replace("ANN", "A\0").encode(), "row 1 (line 2) contains a NUL"),
        (f'{HEADER}\n{GOOD}\n2020,"OHIO\n'.encode(), "line 3: unexpected end of data"),
        (f"{HEADER}\n{GOOD}\n".encode() + b"\xff", "is not UTF-8 (line 3)"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "is not UTF-8 (line 1)"),
    ],
)
def test_unusable_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The error is one line that names the file, the row and the line."""
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_results(path)
    text = str(caught.value)
    assert text.startswith(f"results file {path}: ")
    assert message in text
    assert "\n" not in text
    assert caught.value.exit_code == 2


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """The error says whether the file does not exist or is a folder."""
    with pytest.raises(InputError, match=r"nowhere\.csv: does not exist"):
        read_results(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_results(tmp_path)


def test_layout_is_read_tolerantly(tmp_path: Path) -> None:
    """Column order and case, other columns, a byte order mark, quotes and CRLF do not matter."""
    path = tmp_path / "results.csv"
    content = (
        '\ufeffmode,CandidateVotes,"Candidate",State\r\nTOTAL,"7","Söder, M.", Bayern \r\n'
    ).encode()
    path.write_bytes(content)
    file = read_results(path)
    assert [(r.number, r.state, r.candidate, r.votes) for r in file.rows] == [
        (1, "Bayern", "Söder, M.", 7)
    ]
    assert file.parties == {"Söder, M.": ""}
    assert file.digest == hashlib.sha256(content).digest()


def test_party_is_that_of_the_first_row(write_results: Callable[..., Path]) -> None:
    """A candidate has the party of its first row; candidates keep the file's order."""
    file = read_results(
        write_results(("A", "Zed", "one", 1), ("A", "Ann", "two", 1), ("B", "Zed", "three", 1))
    )
    assert list(file.parties.items()) == [("Zed", "one"), ("Ann", "two")]


def test_several_years_need_a_choice(tmp_path: Path) -> None:
    """A file with several years is refused, with a list of them, unless one is chosen."""
    path = tmp_path / "results.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('2020', '2016').replace('ANN', 'BOB')}\n")
    with pytest.raises(InputError, match=r"choose with --year: 2016, 2020$"):
        read_results(path)
    file = read_results(path, year="2016")
    assert [(row.number, row.candidate) for row in file.rows] == [(2, "BOB")]
    assert list(file.parties) == ["BOB"]
    with pytest.raises(InputError, match=r"no row that --year '2012' selects; year: 2016, 2020$"):
        read_results(path, year="2012")


def test_several_offices_need_a_choice(tmp_path: Path) -> None:
    """A file with several offices is refused, with a list of them, unless one is chosen."""
    path = tmp_path / "results.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('US PRESIDENT', 'US SENATE')}\n")
    with pytest.raises(InputError, match=r"choose with --office: US PRESIDENT, US SENATE$"):
        read_results(path)
    assert [row.number for row in read_results(path, office="us senate").rows] == [2]


def test_selecting_needs_the_column(tmp_path: Path) -> None:
    """To choose a year in a file without years is an error, not an empty election."""
    path = tmp_path / "results.csv"
    path.write_text("state,candidate,candidatevotes\nOHIO,ANN,1\n")
    with pytest.raises(InputError, match="lacks the column 'year'"):
        read_results(path, year="2020")


def test_rows_that_are_not_chosen_are_checked_too(tmp_path: Path) -> None:
    """An invalid row of another year is an error: the whole file must be valid."""
    path = tmp_path / "results.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{bad('-1').replace('2020', '2016')}\n")
    with pytest.raises(InputError, match="row 2"):
        read_results(path, year="2020")
