"""Features of any model from files: npz, npy with a CSV file, parquet, or a folder that `predict` wrote."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.feature_columns import Column, check_table, missing, named, whole_numbers
from wsreid.retrieval.feature_csv import read_csv
from wsreid.retrieval.feature_shards import REMEDY, FeatureShards, read_shards
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.npz_check import check_npz
from wsreid.retrieval.parquet_features import read_parquet
from wsreid.retrieval.stored_array import NO_HEADER, AnyArray, npy_array, npz_arrays

Content: TypeAlias = tuple["AnyArray | FeatureShards", Mapping[str, AnyArray], tuple[Path, ...]]


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """One side of an evaluation, from a file.

    Attributes:
        features: `(N, D)` float16, float32 or float64: a mapped or loaded array, or a folder's shards as one table.
        pid: Identities, `(N,)` int64; -1 = unknown.
        camera: Cameras, `(N,)` int64; None = the file names none.
        row: The data set's rows, `(N,)` int64; 0..N-1 if the file names none.
        path: What was asked for.
        sources: Each file that it was read from.
    """

    features: AnyArray | FeatureShards
    pid: Ints
    camera: Ints | None
    row: Ints
    path: Path
    sources: tuple[Path, ...]

    def check(self) -> None:
        """Reads npz files and shards once, for their checksums; npy and CSV files have none.

        Raises:
            FeatureError: Bytes of a file have changed since it was written.
        """
        remedy = REMEDY if isinstance(self.features, FeatureShards) else "Copy or write it again."
        for source in self.sources:
            if source.suffix.lower() == ".npz":
                check_npz(source, remedy)


def read_features(path: str | Path, meta: str | Path | None = None) -> FeatureFile:
    """Opens features with the identities beside them.

    `.npz`: keys `features`, `pid` and, if known, `camera` and `row`; an uncompressed file is mapped into memory, a
    compressed one loaded. Other names that are understood stand in `ALIASES`. `.npy`: the features, mapped; the rest
    from `meta`. `.parquet`: a list column `features` and columns of numbers; loaded. A folder: the query or gallery
    folder that `python -m wsreid predict` wrote. A negative pid other than -1 is an identity like any other.

    Args:
        path: The file or folder.
        meta: CSV file with columns `pid`[, `camera`, `row`], line i for feature i; its columns come before those of the
            file. Beside FILE.npy, FILE.csv is taken if none is named.

    Returns:
        The features, checked for all that can be known without reading them; the engine finds NaN.

    Raises:
        FeatureError: Missing, damaged, cut short or empty file; features that are no table of floats; no identities,
            or not one for each feature.
    """
    path = Path(path)
    reader = _shards if path.is_dir() else _READERS.get(path.suffix.lower())
    if reader is None:
        raise FeatureError(f"{path}: features come as {', '.join(_READERS)}, or a folder that predict wrote.")
    if not path.exists():
        raise FeatureError(f"{path}: there is no such file or folder.")
    csv_file = Path(meta) if meta is not None else path.with_suffix(".csv") if reader is _npy else None
    try:
        numbers = {} if csv_file is None else read_csv(csv_file)  # first: it is small, and often what is missing
        features, own, sources = reader(path)
    except OSError as error:
        raise FeatureError(f"{error.filename or path} cannot be read: {error.strerror or error}.") from error
    check_table(features.shape, features.dtype, str(path))
    rows = features.shape[0]

    def column(name: Column) -> Ints | None:
        for where, columns in ((csv_file, numbers), (path, own)):
            found = named(columns, name, str(where))
            if found is not None:
                return whole_numbers(columns[found], name, rows, str(where))
        return None

    pid, row = column("pid"), column("row")
    if pid is None:
        raise missing("pid", [*own, *numbers], str(path))
    return FeatureFile(
        features=features,
        pid=pid,
        camera=column("camera"),
        row=np.arange(rows, dtype=np.int64) if row is None else row,
        path=path,
        sources=sources if csv_file is None else (*sources, csv_file),
    )


def _npz(path: Path) -> Content:
    stored = npz_arrays(path)
    key = named(stored, "features", str(path))
    if key is None:
        raise missing("features", stored, str(path))
    table = stored[key]
    numbers = {name: _load(path, name) for name in stored if name != key}
    if table is None or table.fortran:  # compressed, or with its rows strewn over the file: see _npy
        return np.ascontiguousarray(_load(path, key)), numbers, (path,)
    return table.mapped(), numbers, (path,)


def _npy(path: Path) -> Content:
    table = npy_array(path)
    # rows of a Fortran-ordered file are strewn over all of it: mapped, each slice would read the whole file
    return np.ascontiguousarray(table.mapped()) if table.fortran else table.mapped(), {}, (path,)


def _parquet(path: Path) -> Content:
    return *read_parquet(path), (path,)


def _shards(path: Path) -> Content:
    return read_shards(path)


def _load(path: Path, name: str) -> AnyArray:
    try:
        with np.load(path, allow_pickle=False) as file:
            array: AnyArray = file[name]
    except (*NO_HEADER, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FeatureError(f"{path}: {name} cannot be read ({error}). Write it again, as numbers.") from error
    return array


_READERS: Mapping[str, Callable[[Path], Content]] = {".npz": _npz, ".npy": _npy, ".parquet": _parquet}
