"""Ranked lists to look through: which gallery images a run finds for a query, and which of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.datamodule import BagDataModule
from wsreid.data.manifest import Split
from wsreid.report.chosen_queries import chosen_queries
from wsreid.report.image_pool import ImagePool
from wsreid.retrieval.result import RetrievalResult

RIGHT, WRONG, JUNK, UNKNOWN = "right", "wrong", "junk", "unknown"
LENGTH: Final = 10
_CAMERA_RULE: Final = "same identity and same camera"  # how the definition of a result begins where cameras make junk


@dataclass(frozen=True)
class ShownQuery:
    """A query of a test.

    Attributes:
        number: Its place in the test.
        identity: Name of its identity; empty = not known.
        camera: Its camera; -1 = unknown.
        image: Number of its image in the pool; -1 = not there.
        junk: Gallery images that were taken out before it was ranked, those of its identity and camera; -1 = unknown.
    """

    number: int
    identity: str
    camera: int
    image: int
    junk: int


@dataclass(frozen=True)
class RankedList:
    """What a run finds for a query.

    Attributes:
        ap: Its step average precision in percent; None = it has no match.
        first: Rank of its first match, counted from 1; None likewise.
        images: The best gallery images: numbers in the pool, -1 = not there.
        marks: `right`, `wrong`, `junk` or `unknown` for each of them.
    """

    ap: float | None
    first: float | None
    images: tuple[int, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True)
class ScoredQueries:
    """A run's result, and the data whose rows it names.

    Attributes:
        result: Its test.
        data: Its data; None = not there any more.
    """

    result: RetrievalResult
    data: BagDataModule | None

    @property
    def queries_key(self) -> tuple[str, bytes]:
        """Equal for runs that were tested on the same queries."""
        identities = b"" if self.result.query_pid is None else self.result.query_pid.tobytes()
        return "" if self.data is None else self.data.manifest.hash, self.result.query_row.tobytes() + identities


@dataclass(frozen=True)
class QuerySet:
    """Queries that several runs were tested on, and each run's lists for them.

    Attributes:
        runs: Which of the runs.
        total: Queries of the test.
        queries: Those that are shown.
        lists: For each run a list for each query.
    """

    runs: tuple[int, ...]
    total: int
    queries: tuple[ShownQuery, ...]
    lists: tuple[tuple[RankedList, ...], ...]


def query_sets(runs: Sequence[ScoredQueries | None], most: int, pool: ImagePool) -> list[QuerySet]:
    """Gathers ranked lists; runs on the same queries show the same ones of them.

    Args:
        runs: The runs; None = it has no test.
        most: Queries of each set at most.
        pool: Takes the images.

    Returns:
        A set for each group of runs with the same queries.
    """
    groups: dict[tuple[str, bytes], list[int]] = {}
    for number, run in enumerate(runs):
        if run is not None:
            groups.setdefault(run.queries_key, []).append(number)
    return [_query_set(numbers, [run for n in numbers if (run := runs[n])], most, pool) for numbers in groups.values()]


def _query_set(numbers: Sequence[int], runs: Sequence[ScoredQueries], most: int, pool: ImagePool) -> QuerySet:
    figures = [run.result.per_query() for run in runs]
    chosen = chosen_queries([found.ap_step for found in figures], most).tolist()
    return QuerySet(
        runs=tuple(numbers),
        total=runs[0].result.n_query,
        queries=tuple(_query(runs[0], query, pool) for query in chosen),
        lists=tuple(
            tuple(_list(run, query, found.ap_step[query], found.first[query], pool) for query in chosen)
            for run, found in zip(runs, figures, strict=True)
        ),
    )


def _query(run: ScoredQueries, query: int, pool: ImagePool) -> ShownQuery:
    pid = -1 if run.result.query_pid is None else int(run.result.query_pid[query])
    if run.data is None:
        return ShownQuery(query, str(pid) if pid >= 0 else "", -1, -1, -1)
    row, manifest = int(run.result.query_row[query]), run.data.manifest
    camera = int(manifest.take("camera", np.array([row]))[0])
    gallery = manifest.row_range(Split.GALLERY)
    same = manifest.pid[gallery.start : gallery.stop] == pid
    by_camera = str(run.result.definition.get("junk", "")).startswith(_CAMERA_RULE)
    junk = same & (manifest.camera[gallery.start : gallery.stop] == camera) & by_camera & (camera >= 0)
    return ShownQuery(query, manifest.pid_name(pid), camera, pool.number(run.data, row, 0), int(junk.sum()))


def _list(run: ScoredQueries, query: int, ap: float, first: float, pool: ImagePool) -> RankedList:
    rows = np.empty(0, np.int64) if run.result.topk is None else run.result.topk[query, :LENGTH]
    rows = rows[rows >= 0]
    known = not np.isnan(ap)
    if run.data is None:
        marks = _marks_by_rank(run.result, query, len(rows))
        images = [-1] * len(rows)
    else:
        marks = _marks_by_identity(run, query, rows)
        images = [pool.number(run.data, row, place) for place, row in enumerate(rows.tolist(), 1)]
    return RankedList(
        round(100 * float(ap), 1) if known else None, float(first) + 1 if known else None, tuple(images), tuple(marks)
    )


def _marks_by_identity(run: ScoredQueries, query: int, rows: NDArray[np.int64]) -> list[str]:
    assert run.data is not None
    manifest = run.data.manifest
    own = np.array([run.result.query_row[query]])
    (pid,), (camera,) = manifest.take("pid", own).tolist(), manifest.take("camera", own).tolist()
    by_camera = str(run.result.definition.get("junk", "")).startswith(_CAMERA_RULE) and camera >= 0
    marks = []
    for hit, seen_by in zip(manifest.take("pid", rows).tolist(), manifest.take("camera", rows).tolist(), strict=True):
        junk = hit == -1 or (hit == pid and by_camera and seen_by == camera)
        marks.append(JUNK if junk else RIGHT if hit == pid else WRONG)
    return marks


def _marks_by_rank(result: RetrievalResult, query: int, length: int) -> list[str]:
    """Without the data the ranks of the matches tell which places are right, unless matches tie with other images."""
    if result.n_tied:
        return [UNKNOWN] * length
    right = set(result.ranks[query].tolist())
    return [RIGHT if place in right else WRONG for place in range(length)]
