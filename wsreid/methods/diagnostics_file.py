"""The file of an epoch's label diagnostics: diagnostics.csv, one row for each epoch and group."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from wsreid.methods.diagnostics import LabelDiagnostics
from wsreid.whole_file import whole_file

DIAGNOSTICS_FILE = "diagnostics.csv"
COLUMNS = ("epoch", "group", *(field.name for field in fields(LabelDiagnostics)))


def read_diagnostics(path: Path) -> list[dict[str, str]]:
    """The rows of a diagnostics file, without a last line that a crash cut short; none if there is no such file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))


def write_epoch(path: Path, epoch: int, figures: Mapping[str, LabelDiagnostics]) -> None:
    """Adds an epoch, in the place of it and of later ones if they are there; the file is replaced in one step.

    Args:
        path: The file; its folder is made if missing.
        epoch: The epoch.
        figures: By group.
    """
    rows = [{"epoch": str(epoch), "group": group, **_cells(found)} for group, found in figures.items()]
    _replace(path, [*_until(path, epoch - 1), *rows])


def cut_after(path: Path, epoch: int) -> None:
    """Drops the epochs after one, as a run that resumes there writes them again.

    Args:
        path: The file; nothing happens if there is none.
        epoch: The last epoch to keep.
    """
    if path.exists():
        _replace(path, _until(path, epoch))


def _until(path: Path, epoch: int) -> list[dict[str, str]]:
    return [row for row in read_diagnostics(path) if int(row["epoch"]) <= epoch]


def _cells(figures: LabelDiagnostics) -> dict[str, str]:
    pairs = " ".join(f"{truth}>{label}:{count}" for truth, label, count in figures.confused_pairs)
    return {name: _cell(value) for name, value in asdict(figures).items()} | {"confused_pairs": pairs}


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _replace(path: Path, rows: list[dict[str, str]]) -> None:
    with whole_file(path) as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
