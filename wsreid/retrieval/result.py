"""What an evaluation found, as a value that outlives it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.errors import NoMatchError
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.metrics import Floats, QueryFigures, cumulative_matches, query_figures
from wsreid.retrieval.npz_file import write_npz
from wsreid.retrieval.single_shot import Shots

if TYPE_CHECKING:
    from wsreid.retrieval.bootstrap import Interval

FORMAT = 2  # 1 lacked query_pid and shots
READ_FORMATS = (1, 2)


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Retrieval figures with what is needed to read them.

    Attributes:
        cmc: Share of the valid queries with a match at rank k or better, `(max_rank,)`; `cmc[0]` is rank-1. A
            fraction counts from the next whole rank on: a first match that ties with a non-match is no rank-1 hit.
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
        ranks: For each query the ascending 0-based ranks of its matches, junk removed, float64, fractions for ties;
            empty = no match.
        query_row: The caller's row of each query, `(Q,)` int64; 0..Q-1 if the caller named none.
        topk: The caller's rows of each query's best gallery images, junk removed, best first, `(Q, k)` int64,
            -1 where there are fewer; None if not asked for.
        definition: What the figures mean: metric, AP kinds, junk rule, tie rule, protocol and the like.
        query_pid: Identity of each query, `(Q,)` int64; None = not known, as in files of an older version.
        shots: Rank of each query's match in each single-shot gallery, `(repeats, Q)` float64, NaN = no match; None
            where the protocol draws none. `cmc` is then of these galleries.
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
    query_pid: Ints | None = None
    shots: Shots | None = None

    @classmethod
    def of_ranks(
        cls,
        ranks: Sequence[Floats],
        *,
        n_tied: int,
        max_rank: int,
        query_row: Ints,
        query_pid: Ints | None,
        definition: Mapping[str, str | int],
        topk: np.ndarray[tuple[int, int], np.dtype[np.int64]] | None = None,
        shots: Shots | None = None,
    ) -> RetrievalResult:
        """Averages the figures of all queries.

        Args:
            ranks: For each query the ascending 0-based ranks of its matches; empty = no match.
            n_tied: See the class.
            max_rank: Length of the CMC curve.
            query_row: See the class.
            query_pid: See the class.
            definition: See the class.
            topk: See the class.
            shots: See the class.

        Returns:
            The result.

        Raises:
            NoMatchError: No query has a match.
        """
        figures = query_figures(ranks)
        valid = ~np.isnan(figures.first)
        n_query, n_valid = len(ranks), int(valid.sum())
        if n_valid == 0:
            raise NoMatchError(f"none of the {n_query} queries has a match.")
        first = figures.first[None] if shots is None else shots  # (S, Q)
        parts = {
            "map_step": figures.ap_step[valid].sum(),
            "map_trapezoid": figures.ap_trapezoid[valid].sum(),
            "minp": figures.inp[valid].sum(),
        }
        return cls(
            cmc=cumulative_matches(first.ravel(), max_rank, over=n_valid * len(first)),
            cmc_all=cumulative_matches(first.ravel(), max_rank, over=n_query * len(first)),
            **{name: float(total / n_valid) for name, total in parts.items()},
            **{f"{name}_all": float(total / n_query) for name, total in parts.items()},
            n_query=n_query,
            n_valid=n_valid,
            n_tied=n_tied,
            ranks=tuple(ranks),
            query_row=query_row,
            topk=topk,
            definition=dict(definition),
            query_pid=query_pid,
            shots=shots,
        )

    @property
    def counts_all(self) -> bool:
        """Whether the protocol counts queries without a match as misses, so that the `_all` figures are its own."""
        return self.definition.get("unmatched") == "missed"

    def per_query(self) -> QueryFigures:
        """First rank, both average precisions and INP of each query, each `(Q,)`, NaN without a match."""
        return query_figures(self.ranks)

    def first_ranks(self) -> Shots:
        """0-based rank of each query's first match in each gallery of the CMC curve, `(S, Q)`, NaN without a match.

        S is the number of single-shot galleries, or 1.
        """
        return self.per_query().first[None] if self.shots is None else self.shots

    def rank_k(self, k: int, *, over_all: bool = False) -> float:
        """CMC at rank `k` (1, 2, ...), also beyond `max_rank`; over the valid queries, or over all.

        Raises:
            ConfigError: k is below 1.
        """
        if k < 1:
            raise ConfigError(f"k={k}: expected at least 1, which is the first rank.")
        curve, number = (self.cmc_all, self.n_query) if over_all else (self.cmc, self.n_valid)
        if k <= len(curve):
            return float(curve[k - 1])
        first = self.first_ranks()
        return float(np.count_nonzero(first <= k - 1) / (number * len(first)))

    def intervals(self, draws: int = 1000, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
        """Confidence intervals of the figures of `summary`, by bootstrap over query identities.

        Args:
            draws: Number of bootstrap draws.
            level: Share of the draws that an interval holds.
            seed: Seed of the draws.

        Returns:
            Interval by figure.

        Raises:
            FeatureError: The result does not know its queries' identities.
            ConfigError: An option is out of its range.
        """
        from wsreid.retrieval.bootstrap import bootstrap  # it reads results, so it imports this module

        return bootstrap(self, draws=draws, level=level, seed=seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an npz file without pickled objects; the file appears whole or not at all.

        Args:
            path: The file, with its suffix.
        """
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
        optional = {"topk": self.topk, "query_pid": self.query_pid, "shots": self.shots}
        write_npz(path, arrays | {name: array for name, array in optional.items() if array is not None})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RetrievalResult:
        """Reads what `save` wrote, also that of older versions; what those did not write is None.

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
            if version not in READ_FORMATS:
                raise FeatureError(
                    f"{path}: a retrieval result of format {version}; this version reads "
                    f"{' and '.join(map(str, READ_FORMATS))}. Update wsreid, or evaluate again."
                )
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
                query_pid=data.get("query_pid"),
                shots=data.get("shots"),
            )
        except FeatureError:
            raise
        except FileNotFoundError as error:
            raise FeatureError(f"{path}: no such retrieval result.") from error
        except Exception as error:
            raise FeatureError(f"{path}: not a whole retrieval result ({error}). Evaluate again to make it.") from error
