"""The work of `python -m wsreid search`: loads, embeds, searches, draws."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from wsreid.cli.search_gallery import Gallery, open_gallery
from wsreid.cli.search_images import Asked, Embedded, embed_images, query_image
from wsreid.cli.search_network import open_network
from wsreid.cli.search_options import SearchOptions
from wsreid.cli.search_report import Searched, headline
from wsreid.data.cache import write_atomically
from wsreid.retrieval.best import Lists, Scores
from wsreid.retrieval.exact_search import nearest
from wsreid.retrieval.faiss_library import faiss_or_none
from wsreid.retrieval.faiss_topk import as_reported, recall_of
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.saved_index import index_path, saved_index
from wsreid.retrieval.saved_recall import K
from wsreid.retrieval.search_settings import SearchSettings
from wsreid.retrieval.watched_table import WatchedTable
from wsreid.retrieval.watching import Watch
from wsreid.tracking.answer import Answer, Hit
from wsreid.tracking.answer_figure import IN_A_LINE, LINES, answer_figure

_CPU: Final = torch.device("cpu")
_AT_ONCE: Final = 64  # images that an index is asked for together


def search(options: SearchOptions, asked: Asked, watch: Watch) -> Searched:
    """Searches for images.

    Args:
        options: What is asked for.
        asked: The images.
        watch: Is told how far the work is.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend.
    """
    clock = _Clock()
    with clock.timing("network"):
        network = open_network(options)
    metric = options.metric or network.metric
    with clock.timing("gallery"):
        gallery = open_gallery(network, options)
    with clock.timing("embedding"):
        embedded = embed_images(network, asked, watch)
    features = gallery.file.features
    settings = SearchSettings(options.kind(features.shape[0]), nprobe=options.nprobe, ef=options.ef)
    with clock.timing("index"):
        place = index_path(gallery.file.path.absolute(), settings, metric)

        def check() -> None:
            watch("checking the files", 0, 0)
            gallery.file.check()

        saved = saved_index(features, place, metric, settings, check=check, memory_mb=options.memory_mb, watch=watch)
        faiss_or_none()  # exact search loads it late, which is no time of the search
    # where it is compared, at least ten: recall is of the first ten
    k = min(max(options.top, K) if options.exact else options.top, features.shape[0])
    with clock.timing("search"):
        scores, lists = _searched(saved.index, embedded.features, k, watch)
    exact = None
    if options.exact:
        if settings.kind == "exact":
            exact = scores, lists
        else:
            with clock.timing("exact"):
                exact = _exactly(saved.index, embedded.features, k, options.memory_mb, watch)
    answers = _answers(gallery, embedded, (scores, lists), exact, min(options.top, k), metric)
    remarks = [] if gallery.note is None else [gallery.note]
    if options.top > features.shape[0]:
        remarks.append(f"The gallery holds {features.shape[0]} images: all are listed.")
    return Searched(
        options, network.file, gallery, saved, metric, answers, embedded.left_out, clock.seconds, tuple(remarks)
    )


def draw(found: Searched, path: Path) -> Searched:
    """Draws what was found.

    Args:
        found: The search.
        path: PNG file; it is replaced.

    Returns:
        The search, with remarks on what could not be drawn.
    """
    gone: list[str] = []

    def image(hit: Hit) -> NDArray[np.uint8] | None:
        shown = found.gallery.image(hit)
        if shown is None:
            gone.append(hit.path or "")
        return shown

    figure = answer_figure(found.answers, lambda answer: query_image(answer.image), image, headline(found))

    def write(partial: Path) -> None:
        figure.savefig(partial, format="png")

    write_atomically(path, write)
    remarks = list(found.remarks)
    if gone and found.gallery.note is None:
        remarks.append(
            f"{len(gone)} gallery image(s) cannot be read, such as {gone[0]}: the picture has no image there."
        )
    if len(found.answers) > LINES:
        remarks.append(f"The picture shows the first {LINES} of {len(found.answers)} images.")
    if len(found.answers) > 1 and len(found.answers[0].hits) > IN_A_LINE:
        remarks.append(f"The picture shows the first {IN_A_LINE} hits of each image.")
    return replace(found, remarks=tuple(remarks))


class _Clock:
    """Seconds of named pieces of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def timing(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _searched(index: SearchIndex, query: NDArray[np.float32], k: int, watch: Watch) -> tuple[Scores, Lists]:
    """The best k of each image, `(Q, k)`."""
    if index.facts.settings.kind == "exact":  # it reads the gallery once for all images
        assert index.gallery is not None
        index.gallery = WatchedTable(index.gallery, "searching", watch)
        return index.search(query, k)
    found = []
    for start in range(0, len(query), _AT_ONCE):
        found.append(index.search(query[start : start + _AT_ONCE], k))
        watch("searching", min(start + _AT_ONCE, len(query)), len(query))
    scores, lists = (np.concatenate(part) for part in zip(*found, strict=True))
    return scores, lists


def _exactly(
    index: SearchIndex, query: NDArray[np.float32], k: int, memory_mb: int, watch: Watch
) -> tuple[Scores, Lists]:
    """The exact best k of each image, `(Q, k)`."""
    assert index.gallery is not None
    table, memory, metric = FeatureTable(query, _CPU), memory_mb * 2**20, index.facts.metric
    gallery = WatchedTable(index.gallery, "searching exactly", watch)
    lists, scores = nearest(table, gallery, np.arange(gallery.rows), k, metric=metric, memory=memory)
    return as_reported(scores, table, metric, memory=memory), lists


def _answers(
    gallery: Gallery,
    embedded: Embedded,
    found: tuple[Scores, Lists],
    exact: tuple[Scores, Lists] | None,
    top: int,
    metric: Metric,
) -> tuple[Answer, ...]:
    answers = []
    sign = -1 if metric == "euclidean" else 1
    for number, file in enumerate(embedded.files):
        scores, lists = found[0][number], found[1][number].tolist()
        ranks: dict[int, int] = {}
        recall = None
        if exact is not None:
            ranks = {place: rank for rank, place in enumerate(exact[1][number].tolist(), 1)}
            recall = recall_of(sign * scores[None, :K], sign * exact[0][number][None, :K])
        hits = tuple(
            gallery.hit(rank, place, float(score), ranks.get(place))
            for rank, (place, score) in enumerate(zip(lists[:top], scores, strict=False), 1)
            if place >= 0
        )
        missed = [place for place, rank in ranks.items() if rank <= top and place not in lists[:top]]
        answers.append(Answer(file, hits, recall, tuple(int(gallery.file.row[place]) for place in missed)))
    return tuple(answers)
