"""Features in a parquet file: a column of lists, and columns of whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.feature_columns import NUMBERS, check_table, missing, named
from wsreid.retrieval.stored_array import AnyArray

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 8192  # rows decoded at once


def read_parquet(path: Path) -> tuple[AnyArray, Mapping[str, AnyArray]]:
    """Loads a parquet file, whose numbers are encoded and cannot be mapped.

    Args:
        path: A list column `features`, all lists of one length, and columns pid[, camera][, row] of whole numbers.

    Returns:
        Features `(N, D)`, and `(N,)` by name.

    Raises:
        FeatureError: It is damaged, cut short or empty, or a column is missing or of another kind.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise FeatureError(f"{path}: parquet files need pyarrow: pip install pyarrow. Or write an npz file.") from error
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            key = named(names, "features", str(path))
            if key is None:
                raise missing("features", names, str(path))
            columns = [name for name in (named(names, column, str(path)) for column in NUMBERS) if name is not None]
            table = _features(file, key, path)
            numbers = {name: _numbers(file.read([name]).column(0), name, path) for name in columns}
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise FeatureError(f"{path} is no parquet file, or was cut short: {error}. Copy or write it again.") from error
    return table, numbers


def _empty(rows: int, part: AnyArray, path: Path) -> AnyArray:
    try:
        return np.empty((rows, part.shape[1]), part.dtype)
    except (MemoryError, ValueError) as error:  # the latter for more bytes than can be numbered
        raise FeatureError(f"{path} says that it holds {rows:,} rows: {error}.") from error


def _features(file: pa.parquet.ParquetFile, key: str, path: Path) -> AnyArray:
    rows = int(file.metadata.num_rows)
    if rows < 0:
        raise FeatureError(f"{path} is damaged: it says that it holds {rows} rows. Copy or write it again.")
    if rows == 0:
        check_table((0, 0), np.dtype(np.float32), str(path))
    table: AnyArray | None = None
    done = 0
    for batch in file.iter_batches(_BATCH, columns=[key]):
        part = _dense(batch.column(0), f"{path}: {key}", done)
        if table is None:
            check_table((rows, part.shape[1]), part.dtype, str(path))
            table = _empty(rows, part, path)
        if part.shape[1] != table.shape[1]:
            raise _ragged(f"{path}: {key}", done)
        table[done : done + len(part)] = part
        done += len(part)
    if table is None or done != rows:
        raise FeatureError(f"{path} is cut short: {done:,} of {rows:,} rows. Copy or write it again.")
    return table


def _dense(column: pa.Array, where: str, done: int) -> AnyArray:
    """Lists of equal length as an array, `(n, D)`."""
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise FeatureError(f"{where} must be a list of floats for each image, got {kind}.")
    if column.null_count:
        raise FeatureError(f"{where}: row {done + int(np.flatnonzero(column.is_null())[0])} has no features.")
    lengths = np.asarray(column.value_lengths())
    if len(lengths) and (odd := np.flatnonzero(lengths != lengths[0])).size:
        raise _ragged(where, done + int(odd[0]))
    values = column.flatten()  # n x (D,) -> (n * D,)
    if values.null_count:
        at = int(np.flatnonzero(values.is_null())[0]) // int(lengths[0])
        raise FeatureError(f"{where}: a number of row {done + at} is null. Compute that image's features again.")
    flat: AnyArray = values.to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), int(lengths[0]) if len(lengths) else 0)  # (n * D,) -> (n, D)


def _numbers(column: pa.ChunkedArray, name: str, path: Path) -> AnyArray:
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise FeatureError(
            f"{path}: {name} must be whole numbers, got {column.type}. Number the names first; -1 = unknown."
        )
    if column.null_count:
        row = int(np.flatnonzero(column.is_null())[0])
        raise FeatureError(f"{path}: {name} of row {row} is null, and {column.null_count} in all. Unknown is -1.")
    array: AnyArray = column.to_numpy()
    return array


def _ragged(where: str, row: int) -> FeatureError:
    return FeatureError(f"{where}: the list of row {row} has another length than that of row 0.")
