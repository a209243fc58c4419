"""An answer from a saved index: how long it takes to load and to search, and how much it finds.

    python experiments/benchmarks/search.py [--rows 480000] [--width 2048] [--index ivf hnsw] [--folder DIR] [--tiny]

Makes a float16 gallery in a file, 16 images of each identity as a centre and noise, and one query of each of some
identities. Then, for each kind of index: makes and saves it as `python -m wsreid search` does, loads it again (checksum
of the file, hash of the features), and asks for 20 images of one query at a time. Recall@10 is against exact search, of
the queries and, as it is kept beside the index, of gallery images. An index that would take longer than --limit_s to
make, judged by a small one, or more memory than there is, is left out and named. Prints a table, and one JSON object
on the last line.
"""

import argparse
import gc
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from centre_noise import plant

from wsreid.retrieval.faiss_topk import topk
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.features import Features
from wsreid.retrieval.free_memory import free_memory
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.saved_index import SavedIndex, index_bytes, index_path, saved_index
from wsreid.retrieval.saved_recall import K
from wsreid.retrieval.search_settings import SearchSettings

Result = TypeVar("Result")
Row = dict[str, float | int | str | None]
Queries = np.ndarray[tuple[int, int], np.dtype[np.float32]]
MATCHES = 16
CHUNK = 1000  # identities made at once
LISTED = 20
PROBE = 2000  # images of the small index that tells how long the large one takes
MEMORY_MB = 512  # working memory


def make_gallery(path: Path, rows: int, width: int, similarity: float, queries: int) -> Queries:
    """Writes `path` (.npy) and the identities beside it (.csv).

    Args:
        path: The file.
        rows: About how many images; a multiple of 16 is written.
        width: Dimension D.
        similarity: Expected cosine of two images of one identity.
        queries: How many queries; each is of another identity.

    Returns:
        The queries, `(queries, D)`.
    """
    identities = rows // MATCHES
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(identities * MATCHES, width))
    asked, pids = [], []
    for first in range(0, identities, CHUNK):
        count = min(CHUNK, identities - first)
        chunk = torch.empty(count * MATCHES, width, dtype=torch.float16)
        query, _, pid = plant(chunk, count, MATCHES, similarity, seed=first)  # (count, D), (count * MATCHES,)
        stored[first * MATCHES : (first + count) * MATCHES] = chunk.numpy()
        pids.append(first + pid)
        asked.append(query.float().numpy())
    stored.flush()
    path.with_suffix(".csv").write_text("pid\n" + "\n".join(map(str, np.concatenate(pids).tolist())) + "\n")
    chosen = np.linspace(0, identities - 1, queries).round().astype(np.int64)
    return np.concatenate(asked)[chosen]


def estimated_seconds(gallery: Features, kind: str, rows: int) -> float:
    """How long `hnsw` takes to make, judged by a small one: with ten times as many images it took 24 times as long."""
    some = min(PROBE, rows)
    start = time.perf_counter()
    with SearchIndex.build(np.asarray(gallery[:some]), "cosine", kind):  # type: ignore[index]  # a mapped array
        taken = time.perf_counter() - start
    return float(taken * (rows / some) ** math.log10(24))


def left_out(gallery: Features, kind: str, limit: float) -> str | None:
    """Why an index is not made; None = it is."""
    rows, width = int(gallery.shape[0]), int(gallery.shape[1])
    needed, free = index_bytes(rows, width, SearchSettings(kind)) + 3 * MEMORY_MB * 2**20, free_memory()  # type: ignore[arg-type]
    if free is not None and needed > free:
        return f"needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} are free"
    if kind == "hnsw" and (seconds := estimated_seconds(gallery, kind, rows)) > limit:
        return f"would take about {seconds / 60:.0f} minutes to make, the limit is {limit / 60:.0f}"
    return None


def timed(work: Callable[[], Result]) -> tuple[Result, tuple[float, float]]:
    """What `work` returns, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - wall, time.process_time() - cpu)


def index_row(gallery: Features, path: Path, kind: str, query: Queries, exact: set[tuple[int, int]]) -> Row:
    """One line of the table.

    Args:
        gallery: `(G, D)`.
        path: Its file.
        kind: The index's.
        query: `(Q, D)`.
        exact: The exact lists of 10, as pairs of query and gallery row.

    Returns:
        Its cells.
    """
    settings = SearchSettings(kind)  # type: ignore[arg-type]  # checked there
    file = index_path(path, settings, "cosine")

    def ready() -> SavedIndex:
        return saved_index(gallery, file, "cosine", settings, memory_mb=MEMORY_MB)

    made = (0.0, 0.0)
    if kind != "exact":
        made = timed(ready)[1]
        gc.collect()
    found, loaded = timed(ready)
    taken, pairs = [], set()
    for place in range(len(query)):
        (_, lists), seconds = timed(partial(found.index.search, query[place : place + 1], LISTED))
        taken.append(seconds)
        pairs |= {(place, int(row)) for row in lists[0, :K]}
    found.index.close()
    return {
        "index": kind,
        "make s": made[0],
        "make CPU s": made[1],
        "file MB": file.stat().st_size / 1e6 if file.exists() else 0.0,
        "load s": loaded[0],
        "load CPU s": loaded[1],
        "answer s": statistics.median(wall for wall, _ in taken),
        "answer CPU s": statistics.median(cpu for _, cpu in taken),
        "first answer s": taken[0][0],
        "slowest s": max(wall for wall, _ in taken),
        f"recall@{K} of queries": len(pairs & exact) / len(exact),
        f"recall@{K} of gallery images": None if found.recall is None else found.recall.recall,
    }


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Makes the gallery and measures each index; prints the table."""
    path = folder / "gallery.npy"
    start = time.perf_counter()
    query = make_gallery(path, options.rows, options.width, options.similarity, options.queries)
    gallery = read_features(path).features
    rows, width = (int(n) for n in gallery.shape)
    print(f"gallery: {rows} x {width} float16, {time.perf_counter() - start:.1f} s", flush=True)
    start = time.perf_counter()
    lists = topk(query, gallery, K)[1]
    print(f"exact lists of {len(query)} queries: {time.perf_counter() - start:.1f} s", flush=True)
    exact = {(place, int(row)) for place, one in enumerate(lists) for row in one}
    found: list[Row] = []
    omitted: list[dict[str, str]] = []
    for kind in options.index:
        if why := left_out(gallery, kind, options.limit_s):
            omitted.append({"index": kind, "why": why})
            print(f"{kind} is left out: {why}", flush=True)
            continue
        row = index_row(gallery, path, kind, query, exact)
        if not found:
            print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}")
        found.append(row)
        cells = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row.values()]
        print(f"| {' | '.join(cells)} |", flush=True)
    return {
        "benchmark": "search",
        "rows": rows,
        "width": width,
        "similarity": options.similarity,
        "queries": len(query),
        "threads": torch.get_num_threads(),
        "indices": found,
        "left out": omitted,
    }


def main(args: Sequence[str] | None = None) -> dict[str, object]:
    """Runs the benchmark.

    Args:
        args: The command line; None = that of the process.

    Returns:
        What the last line holds.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=480_000, help="gallery images (default 480000)")
    parser.add_argument("--width", type=int, default=2048, help="dimensions (default 2048)")
    parser.add_argument("--similarity", type=float, default=0.5, help="cosine within an identity (default 0.5)")
    parser.add_argument("--queries", type=int, default=20, help="single queries (default 20)")
    kinds = ["ivf", "hnsw", "pq", "exact"]
    parser.add_argument("--index", nargs="+", default=kinds[:2], choices=kinds, help="kinds (default ivf hnsw)")
    parser.add_argument(
        "--limit_s", type=float, default=7200, help="leave out what takes longer to make (default 7200)"
    )
    parser.add_argument("--folder", type=Path, help="where the files go; by default a temporary folder")
    parser.add_argument("--tiny", action="store_true", help="sizes for a test of this script")
    options = parser.parse_args(args)
    if options.tiny:
        options.rows, options.width, options.queries = 1600, 32, 5
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure(Path(folder), options)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
