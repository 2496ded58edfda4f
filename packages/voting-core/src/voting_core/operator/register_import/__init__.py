"""Importing a register of candidates or voters from a file.

`lines` reads the file, `csv_records` parses CSV, `table` checks the fields of a row, `file` yields
the rows of either format, and `load` stores them in PostgreSQL.
"""

from voting_core.operator.register_import.file import (
    BadRow,
    FileFormat,
    RegisterRow,
    format_by_extension,
    read_register,
)
from voting_core.operator.register_import.lines import RegisterLines
from voting_core.operator.register_import.load import (
    LISTED_BAD_ROWS,
    LOGGED_BAD_ROWS,
    ImportReport,
    import_register,
)
from voting_core.operator.register_import.table import CANDIDATES, VOTERS, RegisterTable

__all__ = [
    "CANDIDATES",
    "LISTED_BAD_ROWS",
    "LOGGED_BAD_ROWS",
    "VOTERS",
    "BadRow",
    "FileFormat",
    "ImportReport",
    "RegisterLines",
    "RegisterRow",
    "RegisterTable",
    "format_by_extension",
    "import_register",
    "read_register",
]
