"""Reading the rows of a table of images, csv or parquet, each with its place for messages."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from wsreid.errors import DataError

ENDINGS: Final = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class TableRow:
    """A row.

    Attributes:
        where: File and line, for messages.
        cells: Text by the name that the source knows the column by, stripped; empty = missing.
    """

    where: str
    cells: Mapping[str, str]


def read_table(path: Path, columns: Mapping[str, str], required: frozenset[str]) -> Iterator[TableRow]:
    """Reads a table row by row.

    Args:
        path: A .csv (commas), .tsv (tabs) or .parquet file; text in UTF-8, the first line names the columns.
        columns: What the file calls each column, by the source's name.
        required: The source's names of the columns that must be there; others are left out where the file lacks them.

    Yields:
        The rows; empty lines of a text file are passed over.

    Raises:
        DataError: The file is missing or damaged, lacks a column, or a line has another number of cells.
    """
    try:
        rows = (
            _parquet(path, columns, required) if path.suffix.lower() == ".parquet" else _text(path, columns, required)
        )
        yield from rows
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"table: {path} cannot be read as a table: {reason}") from error


def _text(path: Path, columns: Mapping[str, str], required: frozenset[str]) -> Iterator[TableRow]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        header = [name.strip() for name in next(lines, [])]
        places = {name: header.index(column) for name, column in _present(path, header, columns, required).items()}
        start = lines.line_num + 1
        for cells in lines:
            if cells:
                where = f"{path}, line {start}"
                if len(cells) != len(header):
                    raise DataError(f"table: {where}: has {len(cells)} cells, the header names {len(header)} columns.")
                yield TableRow(where, {name: cells[place].strip() for name, place in places.items()})
            start = lines.line_num + 1  # a quoted cell may span lines


def _parquet(path: Path, columns: Mapping[str, str], required: frozenset[str]) -> Iterator[TableRow]:
    with pq.ParquetFile(path) as file:
        present = _present(path, file.schema_arrow.names, columns, required)
        number = 0
        for batch in file.iter_batches(columns=list(present.values())):
            for cells in batch.to_pylist():
                number += 1
                texts = {name: _as_text(cells[column]) for name, column in present.items()}
                yield TableRow(f"{path}, row {number}", texts)


def _as_text(value: object) -> str:
    if value is None or value != value:  # NaN is how a table of floats says missing
        return ""
    # Other tools turn a column of whole numbers with gaps into floats.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _present(path: Path, header: list[str], columns: Mapping[str, str], required: frozenset[str]) -> dict[str, str]:
    for name in columns:
        if name in required and columns[name] not in header:
            hint = " (are its cells separated by something else than commas?)" if len(header) == 1 else ""
            raise DataError(
                f"table: {path}, line 1: there is no column {columns[name]!r}; there are {', '.join(header)}{hint}. "
                f"Name the column of {name} with the option columns: {name}=..."
            )
    if twice := sorted({column for column in columns.values() if header.count(column) > 1}):
        raise DataError(f"table: {path}, line 1: there are several columns {twice[0]!r}. Rename all but one.")
    return {name: column for name, column in columns.items() if column in header}
