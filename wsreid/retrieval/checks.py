"""What can be known to be wrong before anything is ranked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import FeatureError
from wsreid.retrieval.errors import NonFiniteFeaturesError, Side
from wsreid.retrieval.features import Array, Features, FeatureTable, Sliceable
from wsreid.retrieval.scores import LARGEST, row_norms


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
        raise FeatureError(f"{side}: expected features of shape (N, D), got {tuple(features.shape)}.")
    if features.shape[0] == 0 and not may_be_empty:
        raise FeatureError(f"{side}: no rows. An empty {side} cannot be scored; look at the split it was made from.")
    if features.shape[1] == 0:
        raise FeatureError(f"{side}: features of dimension 0.")
    if isinstance(features, Tensor):
        good = features.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    else:
        good = features.dtype.kind == "f" and features.dtype.itemsize <= 8
    if not good:
        hint = " (ragged rows make object arrays)" if str(features.dtype) == "object" else ""
        raise FeatureError(f"{side}: expected float16, float32 or float64 features, got {features.dtype}{hint}.")


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
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind not in "iu":
        raise FeatureError(f"{name}: expected whole numbers, got {array.dtype}. Number the names first; -1 = unknown.")
    if array.shape != (rows,):
        raise FeatureError(f"{name}: {rows} {side} features need shape ({rows},), got {tuple(array.shape)}.")
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
        NonFiniteFeaturesError: Some rows hold NaN, inf, or numbers whose squares are not finite.
    """
    step = max(1, memory // 4 // (16 * table.width))
    found: list[Tensor] = []
    for start in range(0, table.rows, step):
        norms = row_norms(table.slice(start, min(start + step, table.rows)))
        found.append(torch.nonzero(~(norms <= LARGEST)).flatten() + start)
    bad = torch.cat(found) if found else torch.empty(0)
    if len(bad):
        raise NonFiniteFeaturesError(side, tuple(int(row) for row in bad))
