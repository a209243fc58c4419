"""Identities, cameras and rows in a CSV file."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.feature_columns import ALIASES, NUMBERS, missing, named
from wsreid.retrieval.stored_array import AnyArray

_INT64 = np.iinfo(np.int64)
_EXACT = 2**53  # beyond, float64 leaves whole numbers out


def read_csv(path: Path) -> dict[str, AnyArray]:
    """Reads the identities, cameras and rows of a CSV file, line i for feature i.

    Args:
        path: Commas, a first line of names; other columns than pid, camera and row are ignored. 3.0 is 3, as pandas
            writes it.

    Returns:
        `(N,)` int64 by name.

    Raises:
        FeatureError: There is no such file or no column pid, or a cell is no whole number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.strip().lower() for name in next(csv.reader(file), [])]
            chosen = {name: at for at, name in enumerate(names) if any(name in ALIASES[column] for column in NUMBERS)}
            if named(chosen, "pid", str(path)) is None:
                raise missing("pid", names, str(path))
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "loadtxt: input contained no data")
                    table: AnyArray = np.loadtxt(
                        file, np.int64, None, ",", quotechar='"', usecols=list(chosen.values()), ndmin=2
                    )  # (N, number of columns)
            except UnicodeDecodeError:
                raise
            except (ValueError, OverflowError):  # a float or a mistake: cell by cell, which is slow
                file.seek(0)
                table = _cells(file, chosen, path)
    except FileNotFoundError:
        raise FeatureError(
            f"{path}: there is no such file. It must give the pid of each feature, one a line, "
            "under a first line of names: pid,camera,row."
        ) from None
    except UnicodeDecodeError as error:
        raise FeatureError(f"{path} is no text file in UTF-8 ({error}).") from error
    except csv.Error as error:
        raise FeatureError(f"{path} is no CSV file ({error}).") from error
    return {name: table[:, at] for at, name in enumerate(chosen)}


def _cells(file: TextIO, chosen: Mapping[str, int], path: Path) -> AnyArray:
    """Whole numbers, floats among them, `(N, number of columns)` int64."""
    lines = csv.reader(file)
    next(lines)
    found = []
    for cells in lines:
        if not cells:
            continue
        where = f"{path}, line {lines.line_num}"  # from 1, as editors count
        if len(cells) <= max(chosen.values()):
            raise FeatureError(f"{where} has {len(cells)} cells, fewer than the first line has names.")
        found.append([_whole(cells[at], f"{where}: {name}") for name, at in chosen.items()])
    return np.array(found, dtype=np.int64).reshape(-1, len(chosen))


def _whole(text: str, where: str) -> int:
    try:
        number = int(text.replace("_", "?"))  # Python would take 1_000
    except ValueError:
        try:
            value = float(text.replace("_", "?"))
        except ValueError:
            value = np.nan
        if not (value.is_integer() and abs(value) <= _EXACT):
            raise FeatureError(f"{where} is {text!r}, which is no whole number. Unknown is -1.") from None
        number = int(value)
    if not _INT64.min <= number <= _INT64.max:
        raise FeatureError(f"{where} is {text}, which does not fit 64-bit signed integers.")
    return number
