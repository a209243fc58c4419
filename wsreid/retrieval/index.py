"""An index of a gallery: made once, searched many times, saved beside its features."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.best import Lists, Scores, sorted_exactly
from wsreid.retrieval.checks import check_features, check_finite, check_similarity
from wsreid.retrieval.errors import OtherFeaturesError
from wsreid.retrieval.exact_search import nearest
from wsreid.retrieval.faiss_library import GPU_LIMIT, load_faiss, on_gpu, to_gpu
from wsreid.retrieval.faiss_topk import as_reported, recall_of
from wsreid.retrieval.feature_hash import feature_hash
from wsreid.retrieval.features import Features, FeatureTable, Metric
from wsreid.retrieval.index_build import as_float32, empty_index, fill_index
from wsreid.retrieval.index_file import IndexFacts, read_index, write_index
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.search_rows import gallery_rows, query_rows, squared_norms
from wsreid.retrieval.search_settings import EF, GPU_CODES, SearchSettings, search_settings
from wsreid.retrieval.watched_table import WatchedTable
from wsreid.retrieval.watching import Watch, unwatched


class SearchIndex:
    """Finds the best gallery images of queries. Make one with `build` or `load`; it is a context manager.

    On the GPU it holds memory until it is closed.

    Attributes:
        facts: What it was made from.
        gallery: The features, which exact scores are read from; None = not at hand, scores are the index's own.
    """

    def __init__(
        self,
        facts: IndexFacts,
        gallery: FeatureTable | None,
        index: Any | None,  # noqa: ANN401 (FAISS has no types)
        *,
        device: torch.device,
        memory: int,
        names: Ints | None = None,
    ) -> None:
        self.facts = facts
        self.gallery = gallery
        self._index = index
        self._resources: Any | None = None
        self._device = device
        self._memory = memory
        self._names = names
        self._closed = False

    @classmethod
    def build(
        cls,
        gallery: Features | FeatureTable,
        metric: Metric = "cosine",
        settings: SearchSettings | str = "ivf",
        seed: int = 0,
        device: torch.device | str | None = None,
        *,
        memory_mb: int = 512,
        rows: Ints | None = None,
        watch: Watch = unwatched,
    ) -> Self:
        """Makes an index.

        Args:
            gallery: `(G, D)`; read in tiles.
            metric: The similarity.
            settings: Its kind and size, or the name of its kind.
            seed: Draws the images that cells and codes are learnt from.
            device: Where to compute; None = where the gallery is.
            memory_mb: Working memory, features and the index itself aside: 2 bytes a number of the gallery for `ivf`
                and `hnsw`, `m` bytes an image for `pq`.
            rows: The gallery rows to hold, `(n,)`, ascending; None = all. Such a part cannot be saved.
            watch: Is told how far the work is.

        Returns:
            The index.

        Raises:
            FeatureError: The features cannot be ranked.
            ConfigError: There is no such metric, the settings do not fit, or FAISS or the GPU is missing.
        """
        check_similarity(metric)
        settings, memory = search_settings(settings), memory_mb * 2**20
        table = _table(gallery, "gallery", device)
        check_finite(WatchedTable(table, "checking the features", watch), "gallery", memory=memory)
        held = np.arange(table.rows) if rows is None else rows
        scaled = gallery_rows(WatchedTable(table, "measuring the features", watch), metric, memory=memory)
        facts = IndexFacts(
            features=feature_hash(WatchedTable(table, "hashing the features", watch)) if rows is None else "",
            rows=table.rows,
            width=table.width,
            metric=metric,
            settings=settings,
            seed=seed,
            scale=scaled.scale,
            faiss="" if settings.kind == "exact" else str(load_faiss().__version__),
        )
        made = cls(facts, table, None, device=table.device, memory=memory, names=rows)
        if settings.kind != "exact":
            made._index = empty_index(settings, len(held), table.width, metric, seed)
            made._enter_gpu(len(held))
            scaled = replace(scaled, table=WatchedTable(table, "filling the index", watch))
            watch("learning from a sample", 0, 0)
            fill_index(made._index, scaled, held, settings, seed, memory)
        return made

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        gallery: Features | FeatureTable | None = None,
        device: torch.device | str | None = None,
        *,
        memory_mb: int = 512,
        effort: SearchSettings | None = None,
        watch: Watch = unwatched,
    ) -> Self:
        """Reads what `save` wrote; on the CPU the file is mapped into memory, not loaded.

        Args:
            path: The file.
            gallery: `(G, D)`, the features it was made from: its hash must be theirs. None = go without exact scores.
            device: Where to compute; None = where the gallery is.
            memory_mb: Working memory of searches.
            effort: Settings whose `nprobe`, `ef` and `refine` take the place of those that it was saved with.
            watch: Is told how far the work is.

        Returns:
            The index.

        Raises:
            FeatureError: The file is missing or damaged, or was made from other features.
            ConfigError: FAISS or the GPU is missing, or an exact index comes without its gallery.
        """
        path = Path(path)
        facts, index = read_index(path, watch)
        if gallery is None and index is None:
            raise ConfigError(f"{path}: an exact index is its gallery. Give the features too.")
        table = None if gallery is None else _table(gallery, "gallery", device)
        if table is not None:
            _require_same(facts, WatchedTable(table, "checking the features", watch), str(path))
        if effort is not None:
            chosen = replace(facts.settings, nprobe=effort.nprobe, ef=effort.ef, refine=effort.refine)
            facts = replace(facts, settings=chosen)
            if chosen.kind in ("ivf", "pq"):
                assert index is not None
                index.nprobe = min(chosen.probes(facts.rows), GPU_LIMIT)
        where = torch.device(device or "cpu") if table is None else table.device
        made = cls(facts, table, index, device=where, memory=memory_mb * 2**20)
        if index is not None:
            made._enter_gpu(facts.rows)
        return made

    def save(self, path: str | os.PathLike[str], watch: Watch = unwatched) -> None:
        """Writes one file: the index, the hash of the features it was made from, metric, settings, FAISS' version.

        Args:
            path: The file; it appears whole or not at all.
            watch: Is told that it is being written.

        Raises:
            FeatureError: It cannot be written.
            ConfigError: The index holds a part of its gallery only.
        """
        self._require_open()
        if self._names is not None:
            raise ConfigError("an index of a part of a gallery cannot be saved: build it without rows.")
        index = self._index
        if self._resources is not None:
            index = load_faiss().index_gpu_to_cpu(index)
        write_index(Path(path), self.facts, index, watch)

    def search(self, query: Features | FeatureTable, k: int) -> tuple[Scores, Lists]:
        """Finds gallery images.

        Args:
            query: `(Q, D)`.
            k: Length of the lists.

        Returns:
            Scores `(Q, k)` float64, best first (cosine, dot product, or Euclidean distance), exact where the gallery
            is at hand; and gallery rows `(Q, k)` int64. Where the index finds fewer: -1, with -inf or, for distances,
            inf.

        Raises:
            FeatureError: The queries cannot be ranked, or k is out of range.
            ConfigError: k is beyond what FAISS can do on the GPU.
        """
        self._require_open()
        table = _table(query, "query", self._device)
        if table.width != self.facts.width:
            raise FeatureError(
                f"query features have {table.width} dimensions, those of the index {self.facts.width}: "
                "they must come from the same model."
            )
        if not 1 <= k <= self._held:
            raise FeatureError(f"k={k}: expected 1 to {self._held}, the number of images in the index.")
        metric = self.facts.metric
        check_finite(table, "query", memory=self._memory)
        if self.gallery is None:
            return self._own_scores(table, k)
        if self._index is None:
            names = np.arange(self.facts.rows) if self._names is None else self._names
            lists, scores = nearest(table, self.gallery, names, k, metric=metric, memory=self._memory)
        else:
            found = self.propose(table, k)
            lists, scores = sorted_exactly(table, self.gallery, found, None, k, metric=metric, memory=self._memory)
        return as_reported(scores, table, metric, memory=self._memory), lists

    def recall(self, query: Features | FeatureTable, gallery: Features | FeatureTable, k: int) -> float:
        """Share of the exact lists that the index finds.

        Args:
            query: `(Q, D)`; all of them are searched exactly too.
            gallery: `(G, D)`, the features it was made from.
            k: Length of the lists.

        Returns:
            1 = all; an image that ties with the last one of a list counts as found.

        Raises:
            FeatureError: The gallery is not that of the index, or as `search`.
        """
        self._require_open()
        q, g = _table(query, "query", self._device), _table(gallery, "gallery", self._device)
        if self._names is None:
            _require_same(self.facts, g, "the index")
        if self._index is None:
            return 1.0
        metric, names = self.facts.metric, np.arange(g.rows) if self._names is None else self._names
        found = sorted_exactly(q, g, self.propose(q, k), None, k, metric=metric, memory=self._memory)[1]
        return recall_of(found, nearest(q, g, names, k, metric=metric, memory=self._memory)[1])

    def propose(self, query: FeatureTable, k: int, extra: int = 0) -> Lists:
        """Gallery rows that may be the best, `(Q, n)` with n >= k + extra unless the index is smaller; -1 = none.

        Args:
            query: Q rows.
            k: Length of the lists that are to be made of them.
            extra: How many of them may be taken out again.

        Raises:
            ConfigError: The number is beyond what FAISS can do on the GPU.
        """
        return self._ask(query, self._candidates(k, extra))[0]

    def close(self) -> None:
        """Gives the index's memory back; it cannot be used any more."""
        self._index = self._resources = None
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _held(self) -> int:
        return self.facts.rows if self._names is None else len(self._names)

    def _candidates(self, k: int, extra: int) -> int:
        if self._resources is not None and k + extra > GPU_LIMIT:
            raise ConfigError(
                f"index: lists of {k + extra} images, junk included; FAISS stops at {GPU_LIMIT} on the GPU. "
                "Ask for shorter lists, or set gpu to false."
            )
        wanted = min(self.facts.settings.refine * k + extra, self._held)
        return min(wanted, GPU_LIMIT) if self._resources is not None else wanted

    def _ask(self, query: FeatureTable, n: int) -> tuple[Lists, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
        """FAISS' lists and scores, `(Q, n)`, in the units of the scaled features."""
        assert self._index is not None
        asked = query_rows(query, self.facts.scale, self.facts.metric)
        if self.facts.settings.kind == "hnsw":
            # not by search(params=...): faiss.contrib.torch_utils, where a program uses it, takes that argument away
            ef = max(self.facts.settings.ef or EF, n)
            load_faiss().ParameterSpace().set_index_parameter(self._index, "efSearch", ef)
        lists = np.empty((query.rows, n), dtype=np.int64)
        scores = np.empty((query.rows, n), dtype=np.float32)
        step = max(1, self._memory // 4 // (8 * query.width))
        for start in range(0, query.rows, step):
            stop = min(start + step, query.rows)
            q = as_float32(asked.slice(start, stop))  # (q, D)
            scores[start:stop], lists[start:stop] = self._index.search(q, n)
        if self._names is not None:
            lists = np.where(lists >= 0, self._names[lists], -1)
        return lists, scores

    def _own_scores(self, query: FeatureTable, k: int) -> tuple[Scores, Lists]:
        lists, raw = self._ask(query, k)
        scores, scale = raw.astype(np.float64), self.facts.scale or 1.0
        if self.facts.metric == "euclidean":
            return np.where(lists >= 0, np.sqrt(scores.clip(min=0)) * scale, np.inf), lists
        if self.facts.metric == "dot":
            scores = scores * np.sqrt(squared_norms(query, memory=self._memory))[:, None] * scale
        return np.where(lists >= 0, scores, -np.inf), lists

    def _enter_gpu(self, rows: int) -> None:
        settings = self.facts.settings
        if not on_gpu(settings, self._device):
            return
        if settings.kind == "pq":
            codes, bits = settings.codes(self.facts.width), settings.code_bits(rows)
            if codes not in GPU_CODES or bits != 8:
                raise ConfigError(
                    f"index: pq with m={codes} and bits={bits}; on the GPU FAISS needs 8 bits and m one of "
                    f"{', '.join(map(str, GPU_CODES))}. Set gpu to false, or choose others."
                )
        self._index, self._resources = to_gpu(self._index, settings, self._device)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("the index is closed.")


def _table(features: Features | FeatureTable, side: str, device: torch.device | str | None) -> FeatureTable:
    if isinstance(features, FeatureTable):
        return features
    check_features(features, "query" if side == "query" else "gallery")
    if device is None:
        device = features.device if isinstance(features, Tensor) else "cpu"
    return FeatureTable(features, torch.device(device))


def _require_same(facts: IndexFacts, gallery: FeatureTable, name: str) -> None:
    shape = (gallery.rows, gallery.width)
    if shape != (facts.rows, facts.width):
        raise OtherFeaturesError(
            f"{name} was made from {facts.rows} x {facts.width} features, the gallery is {shape[0]} x {shape[1]}. "
            "Give the features that it was made from, or build it again."
        )
    content = feature_hash(gallery)
    if content != facts.features:
        raise OtherFeaturesError(
            f"{name} was made from other features (hash {facts.features[:12]}, the gallery's is {content[:12]}). "
            "Give those, or build it again."
        )
