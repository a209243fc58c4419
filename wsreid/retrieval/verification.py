"""One identity or two: true positive rates at fixed false positive rates, and the ROC."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from wsreid.errors import ConfigError
from wsreid.retrieval.checks import check_positive, check_similarity
from wsreid.retrieval.errors import NoMatchError
from wsreid.retrieval.features import Array, Features, Metric
from wsreid.retrieval.group import Alone, Group, together
from wsreid.retrieval.inputs import Inputs, check_inputs
from wsreid.retrieval.junk import Ints, Pairs, same_identity_pairs
from wsreid.retrieval.metrics import Floats
from wsreid.retrieval.protocols import Protocol, chosen_protocol
from wsreid.retrieval.score_histogram import Bins, impostor_histogram, make_bins, norms
from wsreid.retrieval.scores import pair_scores, row_sum
from wsreid.retrieval.verification_result import OperatingPoint, VerificationResult

RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
BIN_LIMITS = (16, 2**20)  # float32 tells no more bins apart


def verify(
    query: Features,
    gallery: Features,
    *,
    q_pid: Array,
    g_pid: Array,
    q_cam: Array | None = None,
    g_cam: Array | None = None,
    metric: Metric = "cosine",
    protocol: Protocol | str | None = None,
    rates: Sequence[float] = RATES,
    bins: int = 2**16,
    memory_mb: int = 512,
    device: torch.device | str | None = None,
    group: Group | None = None,
) -> VerificationResult:
    """Scores all pairs of a query and a gallery image as "one identity" or "two".

    Genuine pairs are the matches of the protocol, each with its exact score. Impostor pairs are those of two known,
    different identities, of the same camera or not; a histogram counts them tile by tile, so no Q x G matrix is held.
    The true positive rate at rate f is the largest share of genuine pairs that a threshold can accept while it accepts
    at most the share f of the impostors; the bins and float32 products leave it open between `low` and `high`. Other
    tiles may move a few impostors to the next bin, so `low` and `high` may move a little, but never past the true rate.

    Args:
        query: `(Q, D)` float16, bfloat16, float32 or float64.
        gallery: `(G, D)`, the same types; may be memory-mapped. With a group: this process's part, which may be empty.
        q_pid: Identities, `(Q,)`; -1 = unknown, in no pair.
        g_pid: Identities, `(G,)`; -1 = unknown, in no pair.
        q_cam: Cameras, `(Q,)`; -1 = unknown, equals no other. None: there are none.
        g_cam: Cameras, `(G,)`.
        metric: `cosine`, `dot` or `euclidean`, whose score is -|q - g|^2.
        protocol: What makes a pair of one identity junk; None = `market1501` with cameras, `none` without.
        rates: The false positive rates, each in (0, 1).
        bins: Bins of the histogram, over all scores that features of these norms can have.
        memory_mb: Working memory, features aside.
        device: Where to compute; None = where the gallery is. A device without float64 (mps) is replaced by the CPU.
        group: The processes that hold the gallery together; the result is the same on each.

    Returns:
        The figures.

    Raises:
        NonFiniteFeaturesError: Features hold NaN or inf, or their squares do not fit float64.
        NoMatchError: There is no genuine pair, or no impostor pair.
        FeatureError: Shapes, lengths or types do not fit.
        ConfigError: An option is out of its range.
    """
    _check_options(metric, rates, bins, memory_mb)
    group = Alone() if group is None else group
    options = f"{metric}, {protocol}, rates {rates}, bins {bins}"
    given = check_inputs(query, gallery, q_pid, g_pid, q_cam, g_cam, None, None, device, group, options)
    rule = chosen_protocol(protocol, cameras_known=given.cameras_known)
    junk = rule.same_camera_is_junk
    pairs = same_identity_pairs(given.q_pid, given.g_pid, given.q_cam, given.g_cam, same_camera_is_junk=junk)
    memory = memory_mb * 2**20
    with together(group):
        q_norms, g_norms = norms(given.query, "query", memory=memory), norms(given.gallery, "gallery", memory=memory)
    longest = group.max(float(g_norms.max()) if len(g_norms) else 0.0)
    scale = make_bins(float(q_norms.max()), longest, given.query.width, bins, metric)
    with together(group):
        mine = _genuine_scores(given, pairs, scale, memory)
        counts = impostor_histogram(
            given.query, given.gallery, q_norms, g_norms, given.q_pid, given.g_pid, pairs, scale, memory=memory
        )
    counts = group.sum(counts).ravel()  # (B,)
    genuine = np.sort(np.concatenate(group.gather(mine)))  # (M,)
    _require_pairs(len(genuine), int(counts.sum()))

    edges = scale.edges
    from_edge = np.concatenate([np.cumsum(counts[::-1])[::-1], [0]])  # (B + 1,) impostors in the bins from each edge on
    accepted = len(genuine) - np.searchsorted(genuine, edges, side="left")  # (B + 1,)
    unit = scale.score_unit
    return VerificationResult(
        points=tuple(operating_point(rate, counts, genuine, scale) for rate in sorted(rates, reverse=True)),
        fpr=from_edge[::-1] / counts.sum(),
        tpr=accepted[::-1] / len(genuine),
        threshold=edges[::-1] * unit,
        n_genuine=len(genuine),
        n_impostor=int(counts.sum()),
        bin_width=scale.width * unit,
        score_error=scale.error * unit,
        definition={
            **{key: value for key, value in rule.definition().items() if key in ("protocol", "junk")},
            "metric": metric,
            "score": "minus the squared Euclidean distance" if metric == "euclidean" else metric,
            "genuine": "pairs of one identity, junk removed, by their exact scores",
            "impostor": "pairs of two known identities, of any cameras, by a histogram",
            "tpr": "largest share of genuine pairs above a threshold with at most the share fpr of impostors above it",
            "bins": bins,
            "n_query": given.query.rows,
            "n_gallery": given.n_gallery,
        },
    )


def operating_point(rate: float, counts: Ints, genuine: Floats, bins: Bins) -> OperatingPoint:
    """Brackets the true positive rate at a false positive rate.

    With N impostors, k = floor(rate N) may be accepted. Let x be the exact score of the one after them: the pairs
    above x are the most that can be accepted. Its bin is known, so x lies in that bin widened by the error.

    Args:
        rate: False positive rate.
        counts: Impostors in each bin, `(B,)`.
        genuine: Exact scores in the units of the bins, ascending, `(M,)`.
        bins: The bins.

    Returns:
        The point; its threshold in the features' own units.
    """
    number = int(counts.sum())
    allowed = min(
        math.floor(rate * number * (1 + 1e-12)), number - 1
    )  # 1e-12: a rate such as 0.29 is a little less than written
    if allowed < 1:
        needed = math.ceil(1 / rate * (1 - 1e-12))
        reason = f"{number:,} impostor pairs cannot resolve a false positive rate of {rate:g}: it takes {needed:,}"
        return OperatingPoint(rate, math.nan, math.nan, math.nan, reason)
    from_top = np.cumsum(counts[::-1])
    place = len(counts) - 1 - int(np.searchsorted(from_top, allowed + 1))
    edges = bins.edges
    upper, lower = edges[place + 1] + bins.error, edges[place] - bins.error
    low, high = ((len(genuine) - np.searchsorted(genuine, end, side="right")) / len(genuine) for end in (upper, lower))
    return OperatingPoint(rate, float(low), float(high), float(upper * bins.score_unit))


def _genuine_scores(given: Inputs, pairs: Pairs, bins: Bins, memory: int) -> Floats:
    """Exact scores of the matches in the units of the bins, `(M,)`."""
    table = given.query
    q, g = (torch.from_numpy(x[~pairs.junk]).to(table.device) for x in (pairs.query, pairs.gallery))
    scores = pair_scores(table, given.gallery, q, g, metric=bins.metric, memory=memory)  # (M,)
    if bins.metric == "euclidean":
        step = max(1, memory // (24 * table.width))
        starts = range(0, table.rows, step)
        squares = [row_sum(table.slice(a, min(a + step, table.rows)).double().square()) for a in starts]
        scores = scores - torch.cat(squares)[q]
    found: Floats = scores.cpu().numpy() / bins.score_unit
    return found


def _check_options(metric: str, rates: Sequence[float], bins: int, memory_mb: int) -> None:
    check_similarity(metric)
    for rate in rates:
        if not 0 < rate < 1:
            raise ConfigError(f"rates: {rate} is no false positive rate; expected shares between 0 and 1.")
    if not BIN_LIMITS[0] <= bins <= BIN_LIMITS[1]:
        raise ConfigError(f"bins={bins}: expected {BIN_LIMITS[0]} to {BIN_LIMITS[1]}.")
    check_positive("memory_mb", memory_mb)


def _require_pairs(genuine: int, impostor: int) -> None:
    if genuine == 0:
        raise NoMatchError(
            "no query has a match, so there is no genuine pair to verify. "
            "Are query and gallery numbered alike, and are the cameras right?"
        )
    if impostor == 0:
        raise NoMatchError("query and gallery show one identity alone, so there is no impostor pair to verify.")
