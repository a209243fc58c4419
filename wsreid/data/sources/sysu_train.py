"""The training images of SYSU-30k, from tars and folders, as columns: they are too many for an object each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wsreid.data.records import Split
from wsreid.data.sources.file_list import FileList
from wsreid.data.sources.scan import Found
from wsreid.data.sources.sysu_names import place_of
from wsreid.data.sources.sysu_report import Report
from wsreid.data.tars.findings import Kind
from wsreid.data.tars.index import TarIndex

_SCHEMA: Final = pa.schema(
    [("number", pa.int32()), ("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("file", pa.int32())]
)
"""Of one image: number of its folder, name below it, where its bytes are, position of its file (tars first)."""

_FOLDERS_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class TrainRows:
    """Training images, ordered by folder, then by name.

    Attributes:
        number: Number of the folder, `(N,)` int32.
        offset: First byte in the file, `(N,)` int64; -1 = the whole file.
        size: Bytes, `(N,)` int64.
        file: Position among the tars and, after them, the unpacked files, `(N,)` int32.
        unpacked: The unpacked files' paths.
    """

    number: NDArray[np.signedinteger]
    offset: NDArray[np.signedinteger]
    size: NDArray[np.signedinteger]
    file: NDArray[np.int32]
    unpacked: tuple[str, ...]


def tar_folders(index: TarIndex, report: Callable[[Kind, str, int], None]) -> tuple[set[int], bool]:
    """The training folders in a tar, and whether test images are in it.

    Args:
        index: The tar's index.
        report: Takes the folders that are none of the data set's, with the number of images.
    """
    numbers: set[int] = set()
    tests = False
    for batch in index.batches("folder"):
        for entry in pc.value_counts(batch.column("folder")).to_pylist():
            place = place_of(entry["values"])
            if place is None:
                report(Kind.PLACE, f"{entry['values']}/", entry["counts"])
            elif place.split == Split.TRAIN:
                numbers.add(place.number)
            else:
                tests = True
    return numbers, tests


def train_rows(
    indexes: Mapping[int, TarIndex],
    numbers: Mapping[int, set[int]],
    folders: Mapping[int, Path],
    scanned: Callable[[Path], tuple[str, list[Found]]],
    listed: FileList | None,
    report: Report,
) -> TrainRows:
    """Joins the images of tars and folders.

    A name that comes more than once counts once: the unpacked file, else that of the last tar, and in a tar the last
    member, as unpacking everything in order would leave it.

    Args:
        indexes: The tars' indexes by their positions.
        numbers: The training folders in each.
        folders: The unpacked training folders.
        scanned: Gives an unpacked folder's path relative to the root, with a `/` at its end, and its images.
        listed: Which files to use; None = all.
        report: Takes what is left out.
    """
    places = Counter(number for found in (*numbers.values(), folders) for number in found)
    shared = np.array([number for number, count in places.items() if count > 1], np.int32)
    parts: list[pa.Table] = []
    apart: list[pa.Table] = []

    def add(table: pa.Table) -> None:
        several = np.isin(table["number"].to_numpy(), shared)
        if several.any():
            apart.append(table.filter(pa.array(several)))
            table = table.filter(pa.array(~several))
        parts.append(_chosen(table, listed, report))

    for position, index in indexes.items():
        if numbers[position]:
            add(_from_tar(position, index))
    files: list[str] = []
    names = list(folders.items())
    for start in range(0, len(names), _FOLDERS_AT_ONCE):
        found = [(number, *scanned(path)) for number, path in names[start : start + _FOLDERS_AT_ONCE]]
        add(_from_folders(found, len(report.tars) + len(files)))
        files += [image.file for _, _, images in found for image in images]
    if apart:
        parts.append(_chosen(pa.concat_tables(apart), listed, report))
    return _rows(parts, files, len(report.tars))


def _from_tar(position: int, index: TarIndex) -> pa.Table:
    batches = []
    for batch in index.batches():
        folders = batch.column("folder").dictionary_encode()
        places = [place_of(folder) for folder in folders.dictionary.to_pylist()]
        number = np.array([p.number if p and p.split == Split.TRAIN else -1 for p in places], np.int32)
        inside = pa.array([p.inside if p else "" for p in places], pa.string())
        codes = folders.indices
        rows = pa.record_batch(
            [
                pa.array(number[codes.to_numpy()]),
                pc.binary_join_element_wise(inside.take(codes), batch.column("name"), ""),
                batch.column("offset"),
                batch.column("size"),
                pa.array(np.full(len(codes), position, np.int32)),
            ],
            schema=_SCHEMA,
        )
        batches.append(rows.filter(pc.greater(rows.column("number"), 0)))
    return pa.Table.from_batches(batches, _SCHEMA)


def _from_folders(found: Sequence[tuple[int, str, list[Found]]], base: int) -> pa.Table:
    images = [(number, image.file[len(prefix) :], image.size) for number, prefix, each in found for image in each]
    columns = [
        pa.array([number for number, _, _ in images], pa.int32()),
        pa.array([name for _, name, _ in images], pa.string()),
        pa.array(np.full(len(images), -1, np.int64)),
        pa.array([size for _, _, size in images], pa.int64()),
        pa.array(np.arange(base, base + len(images), dtype=np.int32)),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _chosen(table: pa.Table, listed: FileList | None, report: Report) -> pa.Table:
    """Orders rows by folder and name, keeps the last of each name, and of those the listed ones that are images."""
    if not table.num_rows:
        return table.drop_columns("name")
    if not (_order(table) >= 1).all():
        # The order is stable: of two rows with one name, the later one stays the later one.
        table = table.take(pc.sort_indices(table, [("number", "ascending"), ("name", "ascending")]))
        again = _order(table) == 0
        _count(table, np.append(again, False), lambda _: Kind.DUPLICATE, report)
        table = table.filter(pa.array(np.append(~again, True)))
    if listed is not None:
        numbers, each = np.unique(table["number"].to_numpy(), return_inverse=True)
        folder = pa.array([f"{number:010d}" for number in numbers.tolist()], pa.string()).take(pa.array(each))
        table = table.filter(pa.array(listed.take(pc.binary_join_element_wise(folder, table["name"], "/"))))
    bad = table["size"].to_numpy() <= 0
    if bad.any():
        _count(table, bad, lambda size: Kind.EMPTY if size == 0 else Kind.CONTENT, report)
        table = table.filter(pa.array(~bad))
    return table.drop_columns("name")


def _order(table: pa.Table) -> NDArray[np.int8]:
    """How each row stands to the one before it, `(N - 1,)`: 1 = after it, 0 = the same name, -1 = out of order."""
    number, name, last = table["number"].to_numpy(), table["name"], table.num_rows - 1
    step = np.sign(np.diff(number)).astype(np.int8)
    greater = pc.greater(name.slice(1), name.slice(0, last)).to_numpy()
    equal = pc.equal(name.slice(1), name.slice(0, last)).to_numpy()
    within = np.where(equal, 0, np.where(greater, 1, -1)).astype(np.int8)
    return np.where(step == 0, within, step)


def _count(table: pa.Table, rows: NDArray[np.bool_], kind: Callable[[int], Kind], report: Report) -> None:
    """Reports the members of tars among some rows; an unpacked file that counts instead of one is none of them."""
    chosen = table.filter(pa.array(rows & (table["file"].to_numpy() < len(report.tars))))
    for batch in chosen.to_batches(max_chunksize=1 << 16):
        for row in batch.to_pylist():
            report.findings[row["file"]].add(kind(row["size"]), f"{row['number']:010d}/{row['name']}")


def _rows(parts: list[pa.Table], files: Sequence[str], tars: int) -> TrainRows:
    table = pa.concat_tables([*parts, _SCHEMA.empty_table().drop_columns("name")])
    parts.clear()
    columns: dict[str, NDArray[np.signedinteger]] = {}
    for name in table.column_names:  # each is given back before the next one is copied
        columns[name] = table[name].to_numpy()
        table = table.drop_columns(name)
    number = columns["number"]
    if np.any(number[1:] < number[:-1]):
        # Rows of a shared folder come from one table, so they are in order among themselves.
        order = np.argsort(number, kind="stable")
        for name in columns:
            columns[name] = columns[name][order]
    used, file = _compact(columns["file"], len(files), tars)
    unpacked = tuple(files[i] for i in used)
    return TrainRows(columns["number"], columns["offset"], columns["size"], file, unpacked)


def _compact(file: NDArray[np.signedinteger], files: int, tars: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Drops the unpacked files that no row names."""
    named = np.zeros(tars + files, bool)
    named[:tars] = True
    named[file] = True
    place = np.cumsum(named, dtype=np.int32) - 1
    return np.flatnonzero(named[tars:]), place[file].astype(np.int32)
