"""Identities, cameras and rows in a CSV file."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.feature_columns import NUMBERS, missing, named
from wsreid.retrieval.stored_array import AnyArray

_INT64 = np.iinfo(np.int64)
_EXACT = 2**53  # beyond, float64 leaves whole numbers out
_PIECE = 2**20  # bytes looked through at once: they stay in the cache
_NEWLINE, _QUOTE = b'\n"'
_TEXT = bytes(set(range(256)) - set(b',\n"'))


def read_csv(path: Path) -> dict[str, AnyArray]:
    """Reads the identities, cameras and rows of a CSV file, line i for feature i.

    Args:
        path: Commas, a first line of names; other columns than pid, camera and row are ignored. 3.0 is 3, as pandas
            writes it.

    Returns:
        `(N,)` int64 by name.

    Raises:
        FeatureError: There is no such file or no column pid, two columns name the same, a cell is no whole number, or
            a line has another number of cells than the first one has names.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.strip().lower() for name in next(csv.reader(file), [])]
            found = {column: named(names, column, str(path)) for column in NUMBERS}  # a name may stand there twice
            if found["pid"] is None:
                raise missing("pid", names, str(path))
            chosen = {name: names.index(name) for name in found.values() if name is not None}
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
                table = _cells(file, chosen, len(names), path)
            else:
                if file.seekable():  # loadtxt looks at no cell beyond those it wants; a pipe is read once
                    file.seek(0)
                    pieces = iter(lambda: bytes(file.buffer.read(_PIECE)), b"")
                    if _some_line_is_longer(pieces, len(names)):
                        file.seek(0)
                        _cells(file, {}, len(names), path)
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


def _some_line_is_longer(pieces: Iterable[bytes], names: int) -> bool:
    """Whether a line may have more cells than there are names: by its commas, in a fraction of the time of parsing."""
    rest = b""
    for piece in pieces:
        lines, end, rest = (rest + piece).rpartition(b"\n")
        if _may_be_longer(lines + end, names):
            return True
    return _may_be_longer(rest + b"\n", names)


def _may_be_longer(lines: bytes, names: int) -> bool:
    """The same for whole lines; also where a text in quotes goes on behind them. Commas in quotes do not count."""
    marks = lines.translate(None, _TEXT).replace(b'""', b"")  # commas, ends of lines, quotes; "" holds or ends nothing
    usual = b"," * (names - 1) + b"\n"
    if marks == usual * (len(marks) // len(usual)):  # as quick as memory is
        return False
    each = np.frombuffer(marks, np.uint8)
    quote = each == _QUOTE
    inside = np.bitwise_xor.accumulate(quote)
    ends = np.flatnonzero(each[~(inside | quote)] == _NEWLINE)
    return bool(inside[-1:].any() or np.diff(ends, prepend=-1).max(initial=0) > names)


def _cells(file: TextIO, chosen: Mapping[str, int], names: int, path: Path) -> AnyArray:
    """Whole numbers, floats among them, `(N, number of columns)` int64."""
    lines = csv.reader(file)
    next(lines)
    found = []
    for cells in lines:
        if not cells:
            continue
        where = f"{path}, line {lines.line_num}"  # from 1, as editors count
        if len(cells) <= max(chosen.values(), default=-1):
            raise FeatureError(f"{where} has {len(cells)} cells, fewer than the first line has names.")
        if len(cells) > names:
            raise FeatureError(
                f"{where} has {len(cells)} cells, more than the {names} names of the first line: a number would stand "
                "under another name. Name each column, and put a cell with commas in quotes."
            )
        found.append([_whole(cells[at], f"{where}: {name}") for name, at in chosen.items()])
    return np.array(found, dtype=np.int64).reshape(len(found), len(chosen))


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
