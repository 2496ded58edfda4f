"""Reading a register from a file."""

import io
import json
from datetime import date
from typing import Any

import pytest
from voting_core.operator.register_file import (
    CANDIDATES,
    MAX_LABEL_CHARS,
    MAX_ROW_BYTES,
    VOTERS,
    Entry,
    Fault,
    FileFormat,
    RegisterLines,
    RegisterTable,
    format_of,
    read_register,
)

from voting_core.exceptions import InputError

HEADER = "voter_id,voter_name,date_of_birth,gender,address_state,address_city,registered_age"
V1 = "v1,Zoë Ångström,1980-02-29,female,Ohio,Akron,44"
V2 = "v2,Bob,1990-01-01,male,Iowa,,"
FLAT = {
    "voter_id": "v1",
    "voter_name": "Zoë Ångström",
    "date_of_birth": "1980-02-29",
    "gender": "female",
    "address_state": "Ohio",
    "address_city": "Akron",
    "registered_age": 44,
}
NESTED = {name: value for name, value in FLAT.items() if not name.startswith("address_")} | {
    "address": {"state": "Ohio", "city": "Akron"}
}


def read(
    content: bytes | str,
    table: RegisterTable = VOTERS,
    file_format: FileFormat = FileFormat.CSV,
) -> list[Entry | Fault]:
    """All rows of a file."""
    content = content.encode() if isinstance(content, str) else content
    return list(read_register(RegisterLines(io.BytesIO(content)), table, file_format))


def csv_rows(*rows: str, header: str = HEADER) -> list[Entry | Fault]:
    """The rows of a CSV file of voters."""
    return read("\n".join([header, *rows]) + "\n")


def json_rows(*rows: Any) -> list[Entry | Fault]:
    """The rows of a JSON lines file of voters."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return read(lines, file_format=FileFormat.JSONL)


def record(entry: Entry | Fault) -> dict[str, Any]:
    """What a sound row of voters says, without the columns that say nothing."""
    assert isinstance(entry, Entry), str(entry)
    return {
        name: value
        for name, value in zip(VOTERS.columns, entry.values, strict=True)
        if value not in ("", None)
    }


def reasons(rows: list[Entry | Fault]) -> list[str | None]:
    """What is wrong with each row; None with a sound one."""
    return [row.reason if isinstance(row, Fault) else None for row in rows]


def test_csv_texts_become_values() -> None:
    """A date is a date and an age a number; what is empty is an empty text, or no age."""
    first, second = csv_rows(V1, V2)
    assert record(first) == FLAT | {"date_of_birth": date(1980, 2, 29)}
    assert isinstance(second, Entry)
    assert second.values[VOTERS.columns.index("registered_age")] is None
    assert second.values[VOTERS.columns.index("address_city")] == ""


def test_all_layouts_give_the_same_row() -> None:
    """CSV, flat JSON and JSON with a nested address differ in nothing once they are read."""
    rows = [*csv_rows(V1), *json_rows(FLAT), *json_rows(NESTED)]
    assert [record(row) for row in rows] == [record(rows[0])] * 3


def test_columns_may_come_in_any_order() -> None:
    """The header says what a field is."""
    header = ",".join(reversed(HEADER.split(",")))
    (row,) = csv_rows(",".join(reversed(V1.split(","))), header=header)
    assert record(row) == record(csv_rows(V1)[0])


def test_rows_are_counted_apart_from_lines() -> None:
    """Header and blank lines are lines but not rows; a row of several lines counts once."""
    rows = csv_rows(V1, "", " ", ",,,,,,", '"v2","B\nob",1990-01-01,male,Iowa,,', "v3")
    places = [(row.row, row.line) for row in rows]
    assert places == [(1, 2), (2, 6), (3, 8)]
    assert str(rows[2]) == "row 3 (line 8): has 1 fields, the header has 7"
    assert str(csv_rows('v2,"B\nob",never,male,Iowa,,')[0]).startswith("row 1 (lines 2 to 3): ")
    numbered = read(json.dumps(FLAT) + "\n\n[]", file_format=FileFormat.JSONL)
    assert [(row.row, row.line) for row in numbered] == [(1, 1), (2, 3)]


def test_spreadsheets_habits_are_put_up_with() -> None:
    """A byte order mark, Windows line ends and blanks around a text change nothing."""
    content = f"\ufeff{HEADER}\r\n{V1.replace(',', ' , ')}\r\n"
    assert [record(row) for row in read(content)] == [record(csv_rows(V1)[0])]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"voter_id": ""}, "voter_id: must not be empty"),
        ({"voter_id": "x" * 257}, "voter_id: longer than 256 characters"),
        ({"voter_id": "a\0b"}, "voter_id: a NUL character"),
        ({"voter_name": "  "}, "voter_name: must not be empty"),
        ({"date_of_birth": ""}, "date_of_birth: expected a date"),
        ({"date_of_birth": "29.2.1980"}, "date_of_birth: expected a date"),
        ({"date_of_birth": "1981-02-29"}, "date_of_birth: day"),
        ({"gender": ""}, "gender: must not be empty"),
        ({"gender": "g" * (MAX_LABEL_CHARS + 1)}, "gender: longer than 1,000"),
        ({"address_state": ""}, "address_state: must not be empty"),
        ({"address_state": "s" * (MAX_LABEL_CHARS + 1)}, "address_state: longer than 1,000"),
        ({"address_city": "\0"}, "address_city: a NUL character"),
        ({"registered_age": 151}, "registered_age: 151 is not from 0 to 150"),
    ],
)
def test_a_field_must_hold_what_it_says(change: dict[str, Any], reason: str) -> None:
    """Whatever the layout, the fault names the column as the table does."""
    changed = FLAT | change
    row = ",".join(str(changed[name]) for name in HEADER.split(","))
    for rows in (csv_rows(row), json_rows(changed)):
        assert isinstance(rows[0], Fault)
        assert rows[0].reason.startswith(reason)


@pytest.mark.parametrize("age", ["x", "4.5", "-1", "1e2", "٤٤", "1" * 10])
def test_an_age_in_csv_is_a_whole_number(age: str) -> None:
    """Nothing else is converted."""
    assert reasons(csv_rows(V2 + age)) == ["registered_age: expected a whole number of 0 or more"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"registered_age": "44"}, "registered_age: expected a whole number, found a text"),
        ({"registered_age": -1}, "registered_age: -1 is not from 0 to 150"),
        ({"voter_name": None}, "voter_name: expected a text, found nothing"),
        ({"voter_nam": "Z"}, "voter_nam: not a column of the register; is it voter_name?"),
        ({"choice": "ada"}, "choice: belongs on a ballot, not in the register"),
        ({"address": {"state": "Ohio"}}, "address_state: stands beside a nested address"),
    ],
)
def test_json_is_not_converted(change: dict[str, Any], reason: str) -> None:
    """Types must be right, and every name known."""
    assert reasons(json_rows(FLAT | change)) == [reason]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ({"state": "Ohio", "zip": "1"}, "address.zip: not a column of the register"),
        ({"city": "Akron"}, "address.state: required, but missing"),
        ("Ohio", "address: expected an object, found a text"),
    ],
)
def test_a_nested_address_is_checked_too(address: Any, reason: str) -> None:
    """Its faults are named by where they stand."""
    assert reasons(json_rows(NESTED | {"address": address})) == [reason]


def test_a_required_field_may_be_missing_in_json() -> None:
    """Then this row is bad, and named as the table does."""
    without = {name: value for name, value in FLAT.items() if name != "address_state"}
    assert reasons(json_rows(without, FLAT)) == ["address_state: required, but missing", None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"voter_id": ', "not JSON: unexpected end of data at column 13"),
        ("[1]", "expected an object, found a list"),
        ('{"voter_id": NaN}', "not JSON: "),
    ],
)
def test_what_is_not_a_json_object_is_told(line: str, reason: str) -> None:
    """The reason does not speak of a line of its own."""
    (row,) = read(line, file_format=FileFormat.JSONL)
    assert isinstance(row, Fault)
    assert row.reason.startswith(reason)
    assert "line" not in row.reason


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("voter_id,voter_name,date_of_birth,gender", "lacks the column 'address_state'"),
        (HEADER + ",emial", "column 'emial': not a column of the register; is it email?"),
        (HEADER + ",choice", "column 'choice': not a column"),
        (HEADER + ",voter_id", "column 'voter_id' stands there twice"),
        (HEADER.upper(), "column 'VOTER_ID': not a column of the register; is it voter_id?"),
        (HEADER.replace(",", ";"), "separated by ';'"),
        ('voter_id,"voter_name', "the header (line 1): not CSV"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(header: str, message: str) -> None:
    """The file as a whole is to be mended, no row is read."""
    with pytest.raises(InputError) as caught:
        read(header)
    assert message in str(caught.value)


def test_an_empty_csv_file_is_refused() -> None:
    """Without a header nothing says what the fields are."""
    with pytest.raises(InputError, match="is empty"):
        read("\n\n")


@pytest.mark.parametrize("file_format", FileFormat)
def test_bytes_that_are_no_text_cost_their_row(file_format: FileFormat) -> None:
    """A row that is not UTF-8 is told with the place in its line; the next one is read."""
    if file_format is FileFormat.CSV:
        good, start = V1.encode(), f"{HEADER}\n".encode()
    else:
        good, start = json.dumps(FLAT).encode(), b""
    bad = good.replace(b"Ohio", b"O\xffio")
    rows = read(start + bad + b"\n" + good, file_format=file_format)
    at = bad.index(b"\xff") + 1
    assert reasons(rows) == [f"not UTF-8 at byte {at} of the line", None]


@pytest.mark.parametrize("file_format", FileFormat)
def test_an_endless_line_costs_its_row(file_format: FileFormat) -> None:
    """It is not kept in memory, and the next row is read."""
    good = V1 if file_format is FileFormat.CSV else json.dumps(FLAT)
    start = f"{HEADER}\n" if file_format is FileFormat.CSV else ""
    rows = read(f"{start}{'x' * (3 * MAX_ROW_BYTES)}\n{good}", file_format=file_format)
    assert reasons(rows) == ["longer than 1,000,000 bytes", None]
    assert rows[1].line - rows[0].line == 1


@pytest.mark.parametrize("after", [3, 5000])
def test_a_quote_that_is_not_closed_costs_one_row(after: int) -> None:
    """The rows behind it are not swallowed, however many there are, and keep their lines."""
    rows = csv_rows(V1, 'v2,"Bob,1990-01-01,male,Iowa,,', *[V1] * after)
    bad = [row for row in rows if isinstance(row, Fault)]
    assert len(rows) == after + 2
    assert [(fault.row, fault.line, fault.last_line) for fault in bad] == [(2, 3, None)]
    assert bad[0].reason.startswith("not CSV: ")
    assert rows[-1].line == after + 3


def test_a_row_of_endless_lines_costs_one_row() -> None:
    """Many short lines within quotes are no way round the limit either."""
    field = '"' + "x" * 99 + "\n" + '"'
    rows = csv_rows(",".join([field] * 12_000), V1)
    assert isinstance(rows[0], Fault)
    assert rows[0].reason == "not CSV: longer than 1,000,000 characters"
    assert isinstance(rows[-1], Entry)


def test_a_quote_within_a_text_is_told() -> None:
    """Quotes are doubled within quotes, and stand for themselves elsewhere."""
    rows = csv_rows('v1,"B "o" b",1990-01-01,m,Iowa,,', 'v1,"B ""o"" b",1990-01-01,m,Iowa,,')
    assert reasons(rows) == ["not CSV: ',' expected after '\"'", None]
    assert record(rows[1])["voter_name"] == 'B "o" b'


def test_candidates_need_an_id_and_a_name() -> None:
    """Their other columns may be missing or empty; unknown ones are refused."""
    header = "candidate_name,candidate_id"
    rows = read(f"{header}\nAda,ada\n,bob\nBob,\n", CANDIDATES)
    assert isinstance(rows[0], Entry)
    assert rows[0].values == ("ada", "Ada", "", "", "", "")
    assert reasons(rows[1:]) == [
        "candidate_name: must not be empty",
        "candidate_id: must not be empty",
    ]
    with pytest.raises(InputError, match="'voter_id': not a column"):
        read(f"{header},voter_id\n", CANDIDATES)
    long = json.dumps({"candidate_id": "c" * 257, "candidate_name": "C"})
    party = json.dumps(
        {"candidate_id": "c", "candidate_name": "C", "party_affiliation": "p" * 1001}
    )
    photo = json.dumps({"candidate_id": "c", "candidate_name": "C", "photo": ""})
    assert reasons(read(f"{long}\n{party}\n{photo}", CANDIDATES, FileFormat.JSONL)) == [
        "candidate_id: longer than 256 characters",
        "party_affiliation: longer than 1,000 characters",
        "photo: not a column of the register; is it photo_url?",
    ]


def test_bytes_are_counted_while_reading() -> None:
    """Progress is told by how much of the file is read, and all of it is in the end."""
    content = f"{HEADER}\n{V1}\n{V2}\n".encode()
    lines = RegisterLines(io.BytesIO(content))
    rows = read_register(lines, VOTERS, FileFormat.CSV)
    next(rows)
    assert lines.bytes_read == len(f"{HEADER}\n{V1}\n".encode())
    list(rows)
    assert lines.bytes_read == len(content)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", FileFormat.CSV),
        ("/x/A.CSV", FileFormat.CSV),
        ("a.jsonl", FileFormat.JSONL),
        ("a.b.ndjson", FileFormat.JSONL),
    ],
)
def test_the_extension_tells_the_format(name: str, expected: FileFormat) -> None:
    """Upper and lower case are the same."""
    assert format_of(name) is expected


@pytest.mark.parametrize("name", ["a.json", "a", "a.csv.gz"])
def test_another_extension_tells_nothing(name: str) -> None:
    """It is not guessed: the message names the option."""
    with pytest.raises(InputError, match="--format csv or jsonl"):
        format_of(name)
