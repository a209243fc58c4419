"""What can be known to be wrong before anything is ranked."""

from __future__ import annotations

from typing import get_args

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.errors import NonFiniteFeaturesError, Side
from wsreid.retrieval.features import Array, Features, FeatureTable, Metric, Sliceable
from wsreid.retrieval.scores import out_of_range, row_norms

EXACT_WHOLE = 2**53  # float64 holds each whole number up to here


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuses a word that an option does not know.

    Args:
        name: The option.
        value: What it was given.
        known: What it takes.

    Raises:
        ConfigError: It is none of these.
    """
    if value not in known:
        raise ConfigError(f"{name}={value!r}: expected one of {', '.join(known)}.")


def check_similarity(metric: object) -> None:
    """Refuses an unknown similarity, which would be taken for another one.

    Raises:
        ConfigError: It is none of `Metric`.
    """
    check_choice("metric", metric, get_args(Metric))


def check_positive(name: str, value: object) -> None:
    """Refuses a number of things that is not a whole number, at least 1.

    Args:
        name: The option.
        value: What it was given.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"{name}={value!r}: expected a whole number, at least 1.")


def check_features(features: Features, side: Side, *, may_be_empty: bool = False) -> None:
    """Refuses anything but a filled `(N, D)` table of floating-point numbers.

    Args:
        features: The argument as the caller gave it.
        side: Its name, for the message.
        may_be_empty: One of several processes may hold no row.

    Raises:
        FeatureError: It is no array, has another shape, holds no row, or is of another type.
    """
    if not isinstance(features, (np.ndarray, Tensor, Sliceable)):
        raise FeatureError(f"{side}: expected a NumPy array or a tensor, got {type(features).__name__}.")
    if len(features.shape) != 2:
        shape = tuple(features.shape)
        raise FeatureError(f"{side}: expected features of shape (N, D), got {shape}. {_shape_remedy(side, shape)}")
    if features.shape[0] == 0 and not may_be_empty:
        raise FeatureError(f"{side}: no rows. An empty {side} cannot be scored; look at the split it was made from.")
    if features.shape[1] == 0:
        raise FeatureError(f"{side}: features of dimension 0.")
    if isinstance(features, Tensor):
        good = features.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    else:
        good = features.dtype.kind == "f" and features.dtype.itemsize <= 8
    if not good:
        raise FeatureError(
            f"{side}: expected float16, float32 or float64 features, got {features.dtype}. "
            f"{_type_remedy(side, features)}"
        )


def check_ids(values: Array, name: str, rows: int, side: Side) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Returns identities, cameras or rows as `(N,)` int64.

    Args:
        values: The argument as the caller gave it.
        name: Its name, for the message.
        rows: Number of features that it goes with.
        side: The features' name, for the message.

    Returns:
        `(N,)` int64.

    Raises:
        FeatureError: It is not a list of whole numbers, one for each feature.
    """
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()  # NumPy has no bfloat16
    else:
        array = np.asarray(values)
    if array.dtype.kind not in "iu":
        found = values.dtype if isinstance(values, Tensor) else array.dtype
        remedy = _whole_remedy(name, array, ".long()" if isinstance(values, Tensor) else ".astype(int)")
        raise FeatureError(f"{name}: expected whole numbers, got {found}. {remedy}")
    if array.shape != (rows,):
        remedy = f" Give {name}.reshape(-1)." if array.ndim != 1 and array.size == rows else ""
        raise FeatureError(f"{name}: {rows} {side} features need shape ({rows},), got {tuple(array.shape)}.{remedy}")
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise FeatureError(f"{name}: {int(array.max())} does not fit 64-bit signed integers.")
    return array.astype(np.int64)


def check_finite(table: FeatureTable, side: Side, *, memory: int) -> None:
    """Reads a whole table and refuses numbers that cannot be ranked.

    Args:
        table: N rows.
        side: Its name, for the message.
        memory: Bytes that the working arrays may take.

    Raises:
        NonFiniteFeaturesError: Some rows hold NaN or inf, or are too large or too small for their squares.
    """
    checked_norms(table, side, step=max(1, memory // 4 // (16 * table.width)))


def checked_norms(table: FeatureTable, side: Side, *, step: int) -> Tensor:
    """The norms of a whole table.

    Args:
        table: N rows.
        side: Its name, for the message.
        step: Rows to read at once.

    Returns:
        `(N,)` float64.

    Raises:
        NonFiniteFeaturesError: Some rows hold NaN or inf, or are too large or too small for their squares.
    """
    norms = torch.empty(table.rows, dtype=torch.float64, device=table.device)
    extreme: list[int] = []
    broken: list[int] = []
    for start in range(0, table.rows, step):
        rows = table.slice(start, min(start + step, table.rows))
        norms[start : start + step] = row_norms(rows)
        bad = torch.nonzero(out_of_range(rows, norms[start : start + step])).flatten()
        finite = torch.isfinite(rows[bad]).all(dim=1)  # (b, D) -> (b,)
        extreme += (bad[finite] + start).tolist()
        broken += (bad[~finite] + start).tolist()
    if broken or extreme:  # the remedies differ: what is no number comes first
        raise NonFiniteFeaturesError(side, tuple(broken or extreme), finite=not broken)
    return norms


def _shape_remedy(side: Side, shape: tuple[int, ...]) -> str:
    if len(shape) < 2:
        return f"The feature of one image is {side}[None]." if shape else "Each image has a row."
    return f"Each image has one vector: {side}.reshape({shape[0]}, -1), or the mean over parts or pixels."


def _type_remedy(side: Side, features: Features) -> str:
    name, convert = str(features.dtype), ".float()" if isinstance(features, Tensor) else ".astype(np.float32)"
    if name == "object":
        return f"Ragged rows make object arrays; with rows of one length, give np.stack({side}){convert}."
    if "complex" in name:
        return f"Similarities are of real numbers: give the real and the imaginary part side by side, or {side}.real."
    if "float" in name or "int" in name or "bool" in name:
        return f"Give {side}{convert}."
    return "Features are numbers."


def _whole_remedy(name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], convert: str) -> str:
    if array.dtype.kind == "b":
        return "True and False name nothing: give the numbers themselves; -1 = unknown."
    if array.dtype.kind != "f":
        return "Number the names first; -1 = unknown."
    numbers = array.astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):
        broken = np.flatnonzero(~((np.abs(numbers) <= EXACT_WHOLE) & (numbers == np.floor(numbers))))
    if not len(broken):
        return f"They are whole: give {name}{convert}."
    first = broken[0]
    return (
        f"{len(broken)} of them are no whole numbers (the first is {numbers[first]}, at place {first}). Put -1 where "
        f"nothing is known, then give {name}{convert}."
    )
