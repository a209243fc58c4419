"""What an evaluation found, as a value that outlives it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.metrics import Floats, QueryFigures, query_figures

FORMAT = 1


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Retrieval figures with what is needed to read them.

    Attributes:
        cmc: Share of the valid queries with a match at rank k or better, `(max_rank,)`; `cmc[0]` is rank-1.
        map_step: Mean over the valid queries of the step average precision.
        map_trapezoid: The same of the trapezoid average precision.
        minp: The same of the inverse negative penalty.
        cmc_all: As `cmc`, over all queries, those without a match counting as misses.
        map_step_all: As `map_step`, over all queries, those without a match counting as 0.
        map_trapezoid_all: As `map_trapezoid`, over all queries.
        minp_all: As `minp`, over all queries.
        n_query: Number of queries.
        n_valid: Number of queries that have a match.
        n_tied: Number of matches that tie with a non-match, over all queries.
        ranks: For each query the ascending 0-based ranks of its matches, junk removed, float64; empty = no match.
        query_row: The caller's row of each query, `(Q,)` int64; 0..Q-1 if the caller named none.
        topk: The caller's rows of each query's best gallery images, junk removed, best first, `(Q, k)` int64,
            -1 where there are fewer; None if not asked for.
        definition: What the figures mean: metric, AP kinds, junk rule, tie rule, protocol and the like.
    """

    cmc: Floats
    map_step: float
    map_trapezoid: float
    minp: float
    cmc_all: Floats
    map_step_all: float
    map_trapezoid_all: float
    minp_all: float
    n_query: int
    n_valid: int
    n_tied: int
    ranks: tuple[Floats, ...]
    query_row: Ints
    topk: np.ndarray[tuple[int, int], np.dtype[np.int64]] | None
    definition: dict[str, str | int]

    def per_query(self) -> QueryFigures:
        """First rank, both average precisions and INP of each query, each `(Q,)`, NaN without a match."""
        return query_figures(self.ranks)

    def rank_k(self, k: int) -> float:
        """CMC at rank `k` over the valid queries, for any k, also beyond `max_rank`."""
        if k <= len(self.cmc):
            return float(self.cmc[k - 1])
        first = self.per_query().first
        return float(np.count_nonzero(first <= k - 1) / self.n_valid)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an npz file without pickled objects; the file appears whole or not at all.

        Args:
            path: The file, with its suffix.
        """
        path = Path(path)
        counts = [len(r) for r in self.ranks]
        numbers = ("map_step", "map_trapezoid", "minp", "map_step_all", "map_trapezoid_all", "minp_all")
        arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
            "format": np.array(FORMAT),
            "cmc": self.cmc,
            "cmc_all": self.cmc_all,
            **{name: np.array(getattr(self, name), dtype=np.float64) for name in numbers},
            **{name: np.array(getattr(self, name), dtype=np.int64) for name in ("n_query", "n_valid", "n_tied")},
            "ranks": np.concatenate([*self.ranks, np.empty(0)]),
            "rank_offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            "query_row": self.query_row,
            "definition": np.array(json.dumps(self.definition)),
        }
        if self.topk is not None:
            arrays["topk"] = self.topk
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RetrievalResult:
        """Reads what `save` wrote.

        Args:
            path: The npz file.

        Returns:
            An equal result.

        Raises:
            FeatureError: The file is damaged, or no retrieval result.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {name: file[name] for name in file.files}
            version = int(data["format"])
            if version != FORMAT:
                raise FeatureError(f"{path}: a retrieval result of format {version}; this version reads {FORMAT}.")
            offsets = data["rank_offsets"]
            return cls(
                cmc=data["cmc"],
                map_step=float(data["map_step"]),
                map_trapezoid=float(data["map_trapezoid"]),
                minp=float(data["minp"]),
                cmc_all=data["cmc_all"],
                map_step_all=float(data["map_step_all"]),
                map_trapezoid_all=float(data["map_trapezoid_all"]),
                minp_all=float(data["minp_all"]),
                n_query=int(data["n_query"]),
                n_valid=int(data["n_valid"]),
                n_tied=int(data["n_tied"]),
                ranks=tuple(data["ranks"][a:b] for a, b in pairwise(offsets)),
                query_row=data["query_row"],
                topk=data.get("topk"),
                definition=json.loads(str(data["definition"])),
            )
        except FeatureError:
            raise
        except FileNotFoundError as error:
            raise FeatureError(f"{path}: no such retrieval result.") from error
        except Exception as error:
            raise FeatureError(f"{path}: not a whole retrieval result ({error}). Evaluate again to make it.") from error
