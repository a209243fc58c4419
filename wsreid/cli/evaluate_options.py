"""The options of `python -m wsreid evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Literal

from wsreid.errors import ConfigError
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.protocols import protocol_named
from wsreid.retrieval.rerank_settings import KReciprocal
from wsreid.retrieval.search_settings import Kind, SearchSettings

Metric = Literal["cosine", "dot", "euclidean"]  # these two as in wsreid.retrieval, which loads torch to say them
Ties = Literal["mid", "optimistic", "pessimistic"]
ProtocolName = Literal["market1501", "sysu30k", "msmt17", "cuhk03_classic", "cuhk03_np", "none"]
_READ_BY: Mapping[str, tuple[Kind, ...]] = {  # the kinds of index that a setting has an effect on
    **dict.fromkeys(("nlist", "nprobe", "gpu", "temp_memory_mb"), ("ivf", "pq")),
    **dict.fromkeys(("m", "bits"), ("pq",)),
    **dict.fromkeys(("links", "ef_construction", "ef"), ("hnsw",)),
    "refine": ("ivf", "pq", "hnsw"),
}


@dataclass(frozen=True)
class EvaluateOptions:
    """Scores features of any model: CMC, mAP and mINP, exactly.

    Attributes:
        query: Features of the queries: .npz with features, pid[, camera][, row]; .npy with a CSV file beside it;
            .parquet; or the folder features/query of a prediction.
        gallery: Features of the gallery, the same ways.
        query_meta: CSV file with columns pid[,camera][,row], line i for query feature i.
        gallery_meta: The same for the gallery.
        protocol: What counts as junk, and which queries count. By default market1501 with cameras, none without.
        metric: Similarity; euclidean = nearest first.
        ties: Where non-matches that tie with a match go: half of them before it, all behind it, all before it.
        max_rank: Length of the CMC curve.
        topk: Also list the best TOPK gallery images of each query, in the file of --save.
        index: How the lists of --topk are found; `--index ivf` is short for `--index.kind ivf`. No figure comes from an
            index; how many of the exact lists' images it finds is printed.
        rerank: k-reciprocal re-ranking: `true`, or its settings, such as `--rerank.k1 20 --rerank.k2 6 --rerank.lam 0.3
            --rerank.top 100`.
        expand: Query expansion: `true`, or its settings, such as `--expand.k 10 --expand.alpha 3`. The gallery images
            that it averages are unlabelled test images.
        verification: Also measure the true positive rate at fixed false positive rates, over all pairs of the features
            as they are: neither re-ranked nor expanded.
        seed: Seed of the draws of a single-shot protocol.
        memory_mb: Working memory in MiB, features aside.
        device: Where to compute, such as cuda:0. By default the CPU.
        output: JSON file for the figures and all that they mean; by default GALLERY-evaluation.json in the current
            folder. An earlier evaluation is replaced, any other file is not.
        save: File for the whole result, .npz: ranks, lists, definition; `wsreid.retrieval.RetrievalResult` reads it.
    """

    query: Path
    gallery: Path
    query_meta: Path | None = None
    gallery_meta: Path | None = None
    protocol: ProtocolName | None = None
    metric: Metric = "cosine"
    ties: Ties = "mid"
    max_rank: int = 50
    topk: int | None = None
    index: SearchSettings = field(default_factory=SearchSettings)
    rerank: KReciprocal | bool = False
    expand: QueryExpansion | bool = False
    verification: bool = False
    seed: int = 0
    memory_mb: int = 512
    device: str | None = None
    output: Path | None = None
    save: Path | None = None

    def __post_init__(self) -> None:
        """Checks what can be known before a file is read.

        Raises:
            ConfigError: An option is out of its range, or has no effect.
        """
        for name in ("max_rank", "topk", "memory_mb"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} {value}: expected at least 1.")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: expected at least 0.")
        if self.seed and not (self.protocol and protocol_named(self.protocol).single_shot):
            raise ConfigError(f"--seed {self.seed}: no draws but those of --protocol cuhk03_classic. Leave it out.")
        self._check_index()

    def _check_index(self) -> None:
        if self.index.kind != "exact" and self.topk is None:
            raise ConfigError(
                f"--index {self.index.kind}: an index finds lists, never the figures. Ask for lists with --topk 10."
            )
        if self.index.kind != "exact" and self.reranking is not None:
            raise ConfigError(f"--index {self.index.kind}: re-ranked lists need no index. Leave it out, or --rerank.")
        for setting in fields(self.index):
            name, value = setting.name, getattr(self.index, setting.name)
            if name != "kind" and value != setting.default and self.index.kind not in _READ_BY[name]:
                raise ConfigError(
                    f"--index.{name} {value}: --index {self.index.kind} does not read it. "
                    f"It goes with --index {' or '.join(_READ_BY[name])}."
                )
        if self.index.kind == "exact" and self.topk is not None and self.save is None:
            raise ConfigError(
                f"--topk {self.topk}: the lists are kept in the result file. Name it with --save FILE.npz."
            )

    @property
    def reranking(self) -> KReciprocal | None:
        """Settings of the re-ranking; None = off."""
        return (KReciprocal() if self.rerank else None) if isinstance(self.rerank, bool) else self.rerank

    @property
    def expansion(self) -> QueryExpansion | None:
        """Settings of the query expansion; None = off."""
        return (QueryExpansion() if self.expand else None) if isinstance(self.expand, bool) else self.expand

    def plain(self) -> dict[str, object]:
        """All options as plain values, for JSON; switched-on settings in full."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)} | {
            "rerank": _plain(self.reranking),
            "expand": _plain(self.expansion),
        }


def spelt_out(args: Sequence[str]) -> list[str]:
    """Writes `--index ivf` as `--index.kind ivf`, which settings such as `--index.nprobe` go with in any order.

    Args:
        args: A command line.

    Returns:
        The same, spelt out.
    """
    words: list[str] = []
    for word in args:
        name, equals, value = word.partition("=")
        short = name == "--index" and not value.startswith("{")
        words.append(f"--index.kind{equals}{value}" if short else word)
    return words


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return str(value) if isinstance(value, Path) else value
