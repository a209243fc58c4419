"""The comparison of data sets as a table: for the terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.table import Table
from rich.text import Text

from wsreid.data.dataset_statistics import SetStatistics

HEADS: Final = (
    "data set",
    "figures",
    "categories",
    "scene",
    "annotation",
    "cameras",
    "images",
    "test ids",
    "test images",
)
_NUMBERS: Final = ("categories", "images", "test ids", "test images")
_COLUMNS: Final = ("data_set", "figures", "categories", "scene", "annotation", "cameras", "images")
_CSV_HEADS: Final = (*_COLUMNS, "test_categories", "test_images", "origin", "remarks")


def terminal_table(lines: Sequence[SetStatistics]) -> Table:
    """The comparison for the terminal; lines measured on a manifest are bold.

    Args:
        lines: The data sets.

    Returns:
        A rich table.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for head in HEADS:
        table.add_column(head, justify="right" if head in _NUMBERS else "left")
    for line in lines:
        # A title comes from outside: `Text` does not read it as markup.
        table.add_row(*(Text(cell) for cell in _cells(line)), style="bold" if line.measured else "")
    return table


def markdown_table(lines: Sequence[SetStatistics]) -> str:
    """The comparison as Markdown, measured lines bold, with where the figures come from below.

    Args:
        lines: The data sets.

    Returns:
        The text, without a line break at its end.
    """
    rows = [HEADS, tuple("---:" if head in _NUMBERS else "---" for head in HEADS)]
    for line in lines:
        cells = [cell.replace("|", "\\|") for cell in _cells(line)]
        rows.append(tuple(f"**{cell}**" for cell in cells) if line.measured else tuple(cells))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([table, "", *(f"- {note}" for note in notes(lines))])


def csv_table(lines: Sequence[SetStatistics]) -> str:
    """The comparison as CSV: whole numbers without separators, empty = not known.

    Args:
        lines: The data sets.

    Returns:
        The text, without a line break at its end.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_HEADS)
    for line in lines:
        test = (None, None) if line.test is None else (line.test.identities, line.test.images)
        start = (line.title, _kind(line), line.identities, line.scene, line.annotation, line.cameras, line.images)
        writer.writerow([*start, *test, line.origin, "; ".join(line.remarks)])
    return text.getvalue().rstrip("\n")


def json_table(lines: Sequence[SetStatistics]) -> str:
    """The comparison as JSON: a list of objects, null = not known.

    Args:
        lines: The data sets.

    Returns:
        The text, without a line break at its end.
    """
    return json.dumps([asdict(line) for line in lines], indent=1, ensure_ascii=False)


def notes(lines: Sequence[SetStatistics]) -> list[str]:
    """What stands below the table: where the figures come from, and what must be known of them.

    Args:
        lines: The data sets.

    Returns:
        One sentence or two each.
    """
    found = ["published: as their authors or the SYSU-30k page print them; measured: counted in the manifest named."]
    for line in lines:
        remarks = "; ".join(line.remarks).rstrip(".")
        if line.measured:
            found.append(f"{line.title}: measured on {line.origin}{'; ' if remarks else ''}{remarks}.")
        elif remarks:
            found.append(f"{line.title}: {remarks}.")
    return found


def _cells(line: SetStatistics) -> tuple[str, ...]:
    test = (None, None) if line.test is None else (line.test.identities, line.test.images)
    start = (line.title, _kind(line), _number(line.identities), line.scene or "n/a", line.annotation or "n/a")
    return (*start, line.cameras, _number(line.images), *(_number(value) for value in test))


def _kind(line: SetStatistics) -> str:
    return "measured" if line.measured else "published"


def _number(value: int | None) -> str:
    return "n/a" if value is None else f"{value:,}"
