"""Reading the rows of a register file."""

import io
import json
from datetime import date
from typing import Any

import pytest

from voting_core.exceptions import InputError
from voting_core.operator.register_import import (
    CANDIDATES,
    VOTERS,
    BadRow,
    FileFormat,
    RegisterLines,
    RegisterRow,
    RegisterTable,
    format_by_extension,
    read_register,
)
from voting_core.operator.register_import.lines import MAX_ROW_BYTES
from voting_core.operator.register_import.table import MAX_LABEL_CHARS

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
) -> list[RegisterRow | BadRow]:
    """Return all rows of a file."""
    content = content.encode() if isinstance(content, str) else content
    return list(read_register(RegisterLines(io.BytesIO(content)), table, file_format))


def csv_rows(*rows: str, header: str = HEADER) -> list[RegisterRow | BadRow]:
    """Return the rows of a CSV file of voters."""
    return read("\n".join([header, *rows]) + "\n")


def json_rows(*rows: Any) -> list[RegisterRow | BadRow]:
    """Return the rows of a JSON lines file of voters."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return read(lines, file_format=FileFormat.JSONL)


def record(row: RegisterRow | BadRow) -> dict[str, Any]:
    """Return the values of a good row of voters, without empty ones."""
    assert isinstance(row, RegisterRow), str(row)
    return {
        name: value
        for name, value in zip(VOTERS.columns, row.values, strict=True)
        if value not in ("", None)
    }


def reasons(rows: list[RegisterRow | BadRow]) -> list[str | None]:
    """Return the reason of each bad row, and None for a good one."""
    return [row.reason if isinstance(row, BadRow) else None for row in rows]


def test_csv_fields_are_converted() -> None:
    """Dates and ages are converted; an empty field is an empty text, or no age."""
    first, second = csv_rows(V1, V2)
    assert record(first) == FLAT | {"date_of_birth": date(1980, 2, 29)}
    assert isinstance(second, RegisterRow)
    assert second.values[VOTERS.columns.index("registered_age")] is None
    assert second.values[VOTERS.columns.index("address_city")] == ""


def test_all_formats_give_the_same_row() -> None:
    """CSV, flat JSON and JSON with a nested address give equal rows."""
    rows = [*csv_rows(V1), *json_rows(FLAT), *json_rows(NESTED)]
    assert [record(row) for row in rows] == [record(rows[0])] * 3


def test_columns_may_come_in_any_order() -> None:
    """The header determines the order of the fields."""
    header = ",".join(reversed(HEADER.split(",")))
    (row,) = csv_rows(",".join(reversed(V1.split(","))), header=header)
    assert record(row) == record(csv_rows(V1)[0])


def test_rows_are_counted_apart_from_lines() -> None:
    """The header and blank lines are not rows, and a row of several lines counts once."""
    rows = csv_rows(V1, "", " ", ",,,,,,", '"v2","B\nob",1990-01-01,male,Iowa,,', "v3")
    assert [(row.row, row.line) for row in rows] == [(1, 2), (2, 6), (3, 8)]
    assert str(rows[2]) == "row 3 (line 8): has 1 fields, the header has 7"
    assert str(csv_rows('v2,"B\nob",never,male,Iowa,,')[0]).startswith("row 1 (lines 2 to 3): ")
    numbered = read(json.dumps(FLAT) + "\n\n[]", file_format=FileFormat.JSONL)
    assert [(row.row, row.line) for row in numbered] == [(1, 1), (2, 3)]


def test_files_of_spreadsheets_are_accepted() -> None:
    """A byte order mark, Windows line ends and blanks around a field have no effect."""
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
        ({"date_of_birth": "1981-02-29"}, "date_of_birth: expected a date"),
        ({"gender": ""}, "gender: must not be empty"),
        ({"gender": "g" * (MAX_LABEL_CHARS + 1)}, "gender: longer than 1,000"),
        ({"address_state": ""}, "address_state: must not be empty"),
        ({"address_state": "s" * (MAX_LABEL_CHARS + 1)}, "address_state: longer than 1,000"),
        ({"address_city": "\0"}, "address_city: a NUL character"),
        ({"registered_age": 151}, "registered_age: 151 is not from 0 to 150"),
    ],
)
def test_an_invalid_field_is_reported_by_its_column(change: dict[str, Any], reason: str) -> None:
    """In every format, the reason contains the name of the table's column."""
    changed = FLAT | change
    row = ",".join(str(changed[name]) for name in HEADER.split(","))
    for rows in (csv_rows(row), json_rows(changed)):
        assert isinstance(rows[0], BadRow)
        assert rows[0].reason.startswith(reason)


@pytest.mark.parametrize("age", ["x", "4.5", "-1", "1e2", "٤٤", "1" * 10])
def test_an_age_in_csv_must_be_a_whole_number(age: str) -> None:
    """An age that is not a whole number makes the row bad."""
    assert reasons(csv_rows(V2 + age)) == ["registered_age: expected a whole number of 0 or more"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"registered_age": "44"}, "registered_age: expected `int | null`, got `str`"),
        ({"registered_age": -1}, "registered_age: -1 is not from 0 to 150"),
        ({"voter_name": None}, "voter_name: expected `str`, got `null`"),
        ({"voter_nam": "Z"}, "voter_nam: not a column of the register; is it voter_name?"),
        ({"choice": "ada"}, "choice: belongs on a ballot, not in the register"),
        ({"address": {"state": "Ohio"}}, "address_state: conflicts with the nested address"),
    ],
)
def test_json_is_not_converted(change: dict[str, Any], reason: str) -> None:
    """A JSON value of another type, or with an unknown name, makes the row bad."""
    assert reasons(json_rows(FLAT | change)) == [reason]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ({"state": "Ohio", "zip": "1"}, "address.zip: not a column of the register"),
        ({"city": "Akron"}, "address.state: required, but missing"),
        ("Ohio", "address: expected `object`, got `str`"),
    ],
)
def test_a_nested_address_is_checked(address: Any, reason: str) -> None:
    """An error in a nested address is reported with the path of the field."""
    assert reasons(json_rows(NESTED | {"address": address})) == [reason]


def test_a_required_field_may_be_missing_in_json() -> None:
    """A missing required field makes only its row bad."""
    without = {name: value for name, value in FLAT.items() if name != "address_state"}
    assert reasons(json_rows(without, FLAT)) == ["address_state: required, but missing", None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"voter_id": ', "not JSON: Input data was truncated"),
        ("[1]", "expected `object`, got `array`"),
        ('{"voter_id": NaN}', "not JSON: "),
    ],
)
def test_a_line_that_is_not_a_json_object_is_bad(line: str, reason: str) -> None:
    """The reason contains no line number of the parser."""
    (row,) = read(line, file_format=FileFormat.JSONL)
    assert isinstance(row, BadRow)
    assert row.reason.startswith(reason)
    assert "line" not in row.reason


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("voter_id,voter_name,date_of_birth,gender", "lacks the column 'address_state'"),
        (HEADER + ",emial", "column 'emial': not a column of the register; is it email?"),
        (HEADER + ",choice", "column 'choice': not a column"),
        (HEADER + ",voter_id", "column 'voter_id' occurs twice"),
        (HEADER.upper(), "column 'VOTER_ID': not a column of the register; is it voter_id?"),
        (HEADER.replace(",", ";"), "separated by ';'"),
        ('voter_id,"voter_name', "the header (line 1): not CSV"),
    ],
)
def test_an_invalid_header_is_refused(header: str, message: str) -> None:
    """A file with an invalid header is refused as a whole."""
    with pytest.raises(InputError) as caught:
        read(header)
    assert message in str(caught.value)


def test_an_empty_csv_file_is_refused() -> None:
    """A file without a header is refused as a whole."""
    with pytest.raises(InputError, match="is empty"):
        read("\n\n")


@pytest.mark.parametrize("file_format", FileFormat)
def test_invalid_utf8_makes_only_its_row_bad(file_format: FileFormat) -> None:
    """The reason contains the position in the line, and the next row is read."""
    if file_format is FileFormat.CSV:
        good, start = V1.encode(), f"{HEADER}\n".encode()
    else:
        good, start = json.dumps(FLAT).encode(), b""
    bad = good.replace(b"Ohio", b"O\xffio")
    rows = read(start + bad + b"\n" + good, file_format=file_format)
    at = bad.index(b"\xff") + 1
    assert reasons(rows) == [f"not UTF-8 at byte {at} of the line", None]


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_long_line_makes_only_its_row_bad(file_format: FileFormat) -> None:
    """A line above the limit is skipped, and the next row is read."""
    good = V1 if file_format is FileFormat.CSV else json.dumps(FLAT)
    start = f"{HEADER}\n" if file_format is FileFormat.CSV else ""
    rows = read(f"{start}{'x' * (3 * MAX_ROW_BYTES)}\n{good}", file_format=file_format)
    assert reasons(rows) == ["longer than 1,000,000 bytes", None]
    assert rows[1].line - rows[0].line == 1


@pytest.mark.parametrize("after", [3, 5000])
def test_an_unclosed_quote_makes_only_its_row_bad(after: int) -> None:
    """Any number of rows after an unclosed quote are read, with their line numbers."""
    rows = csv_rows(V1, 'v2,"Bob,1990-01-01,male,Iowa,,', *[V1] * after)
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert len(rows) == after + 2
    assert [(row.row, row.line, row.last_line) for row in bad] == [(2, 3, None)]
    assert bad[0].reason.startswith("not CSV: ")
    assert rows[-1].line == after + 3


def test_a_row_of_too_many_lines_is_bad() -> None:
    """The size limit of a row applies to the sum of its lines."""
    field = '"' + "x" * 99 + "\n" + '"'
    rows = csv_rows(",".join([field] * 12_000), V1)
    assert isinstance(rows[0], BadRow)
    assert rows[0].reason == "not CSV: longer than 1,000,000 characters"
    assert isinstance(rows[-1], RegisterRow)


def test_a_quote_within_quotes_must_be_doubled() -> None:
    """A single quote within a quoted field makes the row bad, a doubled one is a quote."""
    rows = csv_rows('v1,"B "o" b",1990-01-01,m,Iowa,,', 'v1,"B ""o"" b",1990-01-01,m,Iowa,,')
    assert reasons(rows) == ["not CSV: ',' expected after '\"'", None]
    assert record(rows[1])["voter_name"] == 'B "o" b'


def test_candidates_need_an_id_and_a_name() -> None:
    """The other columns of candidates may be missing or empty; unknown ones are refused."""
    header = "candidate_name,candidate_id"
    rows = read(f"{header}\nAda,ada\n,bob\nBob,\n", CANDIDATES)
    assert isinstance(rows[0], RegisterRow)
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
    """The number of bytes read follows the rows, and ends at the size of the file."""
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
def test_the_extension_determines_the_format(name: str, expected: FileFormat) -> None:
    """The case of the extension has no effect."""
    assert format_by_extension(name) is expected


@pytest.mark.parametrize("name", ["a.json", "a", "a.csv.gz"])
def test_an_unknown_extension_is_refused(name: str) -> None:
    """The message for an unknown extension contains the option for the format."""
    with pytest.raises(InputError, match="--format csv or jsonl"):
        format_by_extension(name)
