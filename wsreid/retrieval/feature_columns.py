"""What a feature file must hold: a table of numbers, and whole numbers beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.stored_array import AnyArray

_log = logging.getLogger(__name__)

Column = Literal["features", "pid", "camera", "row"]
NUMBERS: Final[tuple[Column, ...]] = ("pid", "camera", "row")
ALIASES: Final[Mapping[Column, tuple[str, ...]]] = {
    "features": ("features", "feature", "feat", "feats", "embeddings"),
    "pid": ("pid", "pids", "id", "ids"),
    "camera": ("camera", "cameras", "cam", "cams", "camid", "camids"),
    "row": ("row", "rows"),
}


def named(names: Iterable[str], column: Column, where: str) -> str | None:
    """Which of a file's names stands for a column.

    Args:
        names: The names in the file.
        column: The column.
        where: The file, for the message.

    Returns:
        The name; None if there is none.

    Raises:
        FeatureError: Two of them do.
    """
    found = [name for name in names if name in ALIASES[column]]
    if len(found) > 1:
        raise FeatureError(f"{where}: {' and '.join(found)} both name the {column}. Leave one out.")
    return found[0] if found else None


def missing(column: Column, names: Iterable[str], where: str) -> FeatureError:
    """The error for a column that is not there."""
    aliases = ", ".join(ALIASES[column])
    remedy = ""
    if column == "pid":
        remedy = " Name a CSV file with a column pid, one line for each feature: --query_meta, --gallery_meta."
    return FeatureError(
        f"{where}: no {column}. It may be called {aliases}; here are {', '.join(names) or 'none'}.{remedy}"
    )


def check_table(shape: tuple[int, ...], dtype: np.dtype[np.generic], where: str) -> None:
    """Refuses features that are no filled `(N, D)` table of float16, float32 or float64.

    Args:
        shape: Their shape.
        dtype: Their type.
        where: The file, for the message.

    Raises:
        FeatureError: They are not.
    """
    if len(shape) != 2:
        raise FeatureError(f"{where}: expected features of shape (N, D), got {shape}.")
    if 0 in shape:
        raise FeatureError(f"{where} is empty: features of shape {shape}. Look at what wrote it.")
    if dtype.kind == "V":
        raise FeatureError(
            f"{where}: features of unknown type {dtype}. bfloat16 is no NumPy type: save features.float() or .half()."
        )
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise FeatureError(f"{where}: expected float16, float32 or float64 features, got {dtype}.")


def whole_numbers(values: AnyArray, column: Column, rows: int, where: str) -> Ints:
    """Identities, cameras or rows as `(N,)` int64.

    Args:
        values: As the file has them; floats will do if each is whole, as pandas writes them.
        column: Which they are.
        rows: Number of features N.
        where: The file, for the message.

    Returns:
        `(N,)` int64.

    Raises:
        FeatureError: They are no whole numbers, or not one for each feature.
    """
    if values.dtype.kind not in "iuf":
        raise FeatureError(
            f"{where}: {column} must be whole numbers, got {values.dtype}. Number the names first; -1 = unknown."
        )
    if values.shape != (rows,):
        raise FeatureError(f"{where}: {rows} features need {column} of shape ({rows},), got {values.shape}.")
    if values.dtype.kind == "u" and int(values.max()) > np.iinfo(np.int64).max:
        raise FeatureError(f"{where}: {column} {int(values.max())} does not fit 64-bit signed integers.")
    if values.dtype.kind == "f":
        bits = {2: 11, 4: 24}.get(values.dtype.itemsize, 53)  # beyond 2^bits the type leaves whole numbers out
        with np.errstate(invalid="ignore"):  # NaN and inf are among what is looked for
            broken = np.flatnonzero(~((values == np.trunc(values)) & (np.abs(values) <= 2.0**bits)))
        if len(broken):
            raise FeatureError(
                f"{where}: {column} must be whole numbers, at most 2^{bits} as {values.dtype}; that of feature "
                f"{broken[0]} is {values[broken[0]]}, {len(broken)} in all are none. Unknown is -1."
            )
    numbers = values.astype(np.int64).reshape(rows)
    if column == "pid" and int(numbers.min()) < -1:
        odd = numbers < -1
        _log.info(
            "%s: %d features have a negative pid other than -1, such as %d: each such number counts as an identity.",
            where,
            int(odd.sum()),
            int(numbers[odd][0]),
        )
    return numbers
