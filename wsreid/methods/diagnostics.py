"""What a method's labels were in an epoch, in figures: how right, how certain, how steady, and what is confused.

Pure functions of flat arrays. Each figure is first one number for each image or bag, NaN where it does not apply; a
group's figure is the mean over its images or bags. So all groups cost one computation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsreid.methods.epoch_labels import EpochLabels
from wsreid.methods.label_refine import bag_matched, random_labels, set_matched

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]
Pairs = tuple[tuple[int, int, int], ...]

ALL = "all"
TOP_PAIRS = 5
MANY_CAMERAS = 8


@dataclass(frozen=True)
class LabelDiagnostics:
    """The figures of a group of bags; docs/diagnostics.md says what they tell. None = not known.

    Attributes:
        n_bags: Bags.
        n_images: Images.
        n_scored: Images whose true identity is a candidate of their bag: those that the next six figures are of.
        raw: Share of them whose label is their identity.
        raw_random: The same for random in-bag labels, as all `_random` figures.
        bag_matched: After the best renaming of the labels inside each bag.
        bag_matched_random: The same for random labels.
        set_matched: After the best renaming over the data set; the renaming is of all bags, also in a group's figure.
        set_matched_random: The same for random labels.
        presence: Share of a bag's candidates that are the label of one of its images, mean over the bags.
        entropy: Mean entropy of the distribution over the candidates, in nats.
        entropy_normalised: The same, each by the logarithm of the number of candidates; of bags with at least two.
        n_repeated: Images labelled in the epoch before too.
        flip_rate: Share of them with another label than then.
        n_wrong: Scored images with a wrong label.
        confusion: Share of them whose label is the identity of another image of the bag, not an absent candidate.
        confusion_random: The same for a random wrong candidate.
        confused_pairs: The most frequent (true class, label, images) of wrong labels.
    """

    n_bags: int = 0
    n_images: int = 0
    n_scored: int = 0
    raw: float | None = None
    raw_random: float | None = None
    bag_matched: float | None = None
    bag_matched_random: float | None = None
    set_matched: float | None = None
    set_matched_random: float | None = None
    presence: float | None = None
    entropy: float | None = None
    entropy_normalised: float | None = None
    n_repeated: int = 0
    flip_rate: float | None = None
    n_wrong: int = 0
    confusion: float | None = None
    confusion_random: float | None = None
    confused_pairs: Pairs = ()


def entropies(probs: npt.NDArray[np.floating], candidates: _Ints) -> _Floats:
    """Entropy of each image's distribution over the candidates: -sum_c p_c ln p_c, in nats.

    Args:
        probs: `(M, L)`, not negative; rows are made to sum to 1.
        candidates: Candidates of each image's bag, `(M, L)`, padded with -1; what stands at padding is passed over.

    Returns:
        `(M,)`; NaN for a row that sums to nothing.
    """
    p = np.where(candidates >= 0, probs, 0.0).astype(np.float64)  # (M, L)
    total = p.sum(1, keepdims=True)  # (M, L) -> (M, 1)
    p /= np.where(total > 0, total, 1.0)
    logs = np.log(p, where=p > 0, out=np.zeros_like(p))
    return np.where(total[:, 0] > 0, 0.0 - (p * logs).sum(1), np.nan)  # (M, L) -> (M,)


def confidences(probs: npt.NDArray[np.floating], candidates: _Ints, pseudo: _Ints) -> _Floats:
    """Probability of each image's label.

    Args:
        probs: As for `entropies`, `(M, L)`.
        candidates: As there, `(M, L)`.
        pseudo: `(M,)`; -1 = no label.

    Returns:
        `(M,)`; NaN where the label is no candidate, or the row sums to nothing.
    """
    p = np.where(candidates >= 0, probs, 0.0).astype(np.float64)  # (M, L)
    own = (candidates == pseudo[:, None]) & (candidates >= 0)  # (M, L)
    share = _ratio(np.where(own, p, 0.0).sum(1), p.sum(1))  # (M, L) -> (M,)
    return np.where(own.any(1), share, np.nan)


def presence(pseudo: _Ints, bag: _Ints, candidates: _Ints) -> _Floats:
    """Share of each bag's candidates that are the label of at least one of its images.

    Args:
        pseudo: `(M,)`; -1 = no label.
        bag: `(M,)`.
        candidates: `(B, L)`, padded with -1.

    Returns:
        `(B,)`; NaN for a bag without candidates.
    """
    given = _in_pairs(np.arange(len(candidates))[:, None], candidates, bag, pseudo) & (candidates >= 0)  # (B, L)
    return _ratio(given.sum(1), (candidates >= 0).sum(1))  # (B, L) -> (B,)


def flips(member: _Ints, pseudo: _Ints, member_before: _Ints, pseudo_before: _Ints) -> _Floats:
    """Which images have another label than before.

    Args:
        member: `(M,)`.
        pseudo: `(M,)`; -1 = no label.
        member_before: Members that had a label before, `(K,)`, ascending.
        pseudo_before: Their labels, `(K,)`.

    Returns:
        `(M,)`, 1 = changed, 0 = the same; NaN without a label now or before.
    """
    if len(member_before) == 0:
        return np.full(len(member), np.nan)
    at = np.searchsorted(member_before, member).clip(max=len(member_before) - 1)  # (M,)
    both = (member_before[at] == member) & (pseudo >= 0)
    return np.where(both, (pseudo_before[at] != pseudo).astype(np.float64), np.nan)


def confusion(pseudo: _Ints, truth: _Ints, bag: _Ints, candidates: _Ints) -> tuple[_Floats, _Floats]:
    """Whether wrong labels are the identity of another image of the bag, and how likely that is by chance.

    Args:
        pseudo: `(M,)`; -1 = no label, which is not counted as a wrong one here.
        truth: `(M,)`; -1 = unknown.
        bag: `(M,)`.
        candidates: `(B, L)`, padded with -1.

    Returns:
        Twice `(M,)`, NaN but for wrong labels of images whose identity is a candidate: 1 where the label is the
        identity of another image and 0 where it is not; and the share of the bag's other candidates of which the bag
        holds an image (NaN if there is no other).
    """
    wrong = scored(truth, bag, candidates) & (pseudo >= 0) & (pseudo != truth)  # (M,)
    shown = _in_pairs(bag, pseudo, bag[truth >= 0], truth[truth >= 0])  # (M,)
    there = _in_pairs(np.arange(len(candidates))[:, None], candidates, bag, truth) & (candidates >= 0)  # (B, L)
    chance = _ratio(there.sum(1) - 1, (candidates >= 0).sum(1) - 1)  # (B,)
    return np.where(wrong, shown.astype(np.float64), np.nan), np.where(wrong, chance[bag], np.nan)


def confused_pairs(pseudo: _Ints, truth: _Ints, top: int = TOP_PAIRS) -> Pairs:
    """The most frequent pairs of identity and label.

    Args:
        pseudo: Labels, `(M,)`.
        truth: `(M,)`; both >= 0.
        top: How many.

    Returns:
        (true class, label, images), most images first, then by class.
    """
    base = int(pseudo.max(initial=0)) + 1
    pairs, count = np.unique(truth * base + pseudo, return_counts=True)  # (P,)
    order = np.argsort(-count, kind="stable")[:top]
    return tuple((*divmod(int(pairs[i]), base), int(count[i])) for i in order)


def scored(truth: _Ints, bag: _Ints, candidates: _Ints) -> _Bools:
    """Which images can be scored: the true identity is known, and a candidate of the bag, `(M,)`."""
    own = candidates[bag]  # (B, L) -> (M, L)
    found: _Bools = (truth >= 0) & (own == truth[:, None]).any(1)  # (M, L) -> (M,)
    return found


def size_bins(bag_size: _Ints, bins: int = 4) -> list[tuple[int, int]]:
    """Ranges of bag sizes that hold about equally many bags.

    Args:
        bag_size: `(B,)`.
        bins: Most ranges; fewer where many bags have one size.

    Returns:
        Smallest and largest size of each, ascending.
    """
    if len(bag_size) == 0:
        return []
    ends = np.unique(np.quantile(bag_size, np.arange(1, bins + 1) / bins, method="inverted_cdf")).astype(int).tolist()
    starts = [int(bag_size.min()), *(end + 1 for end in ends[:-1])]
    return list(zip(starts, ends, strict=True))


def camera_counts(camera: _Ints, bag: _Ints, n_bags: int) -> _Ints:
    """Different known cameras among the images of each bag, `(B,)`."""
    known = camera >= 0
    base = int(camera.max(initial=0)) + 1
    pairs = np.unique(bag[known] * base + camera[known])  # (P,)
    return np.bincount(pairs // base, minlength=n_bags).astype(np.int64)


def bag_groups(labels: EpochLabels, bins: Sequence[tuple[int, int]]) -> dict[str, _Bools]:
    """The groups that figures are given for: all bags, by size, by number of cameras.

    Args:
        labels: The epoch.
        bins: From `size_bins`; a size outside of all goes into the nearest.

    Returns:
        `(B,)` by name; groups without a bag are left out.
    """
    groups = {ALL: np.ones(len(labels.bag_id), dtype=np.bool_)}
    at = np.searchsorted([end for _, end in bins], labels.bag_size).clip(max=max(len(bins) - 1, 0))  # (B,)
    for i, (start, end) in enumerate(bins):
        groups[f"bag size {start}-{end}" if start < end else f"bag size {end}"] = at == i
    cameras = camera_counts(labels.camera, labels.bag, len(labels.bag_id)).clip(max=MANY_CAMERAS)  # (B,)
    names = {0: "cameras unknown", MANY_CAMERAS: f"cameras {MANY_CAMERAS}+"}
    for n in range(MANY_CAMERAS + 1):
        groups[names.get(n, f"cameras {n}")] = cameras == n
    return {name: inside for name, inside in groups.items() if inside.any()}


def diagnose(
    labels: EpochLabels,
    before: tuple[_Ints, _Ints] | None,
    groups: Mapping[str, _Bools],
    *,
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, LabelDiagnostics]:
    """All figures of each group.

    Args:
        labels: The epoch.
        before: Members, ascending, and labels of the epoch before, both `(K,)`; None = there is none.
        groups: Which bags belong to it, `(B,)`, by name.
        repeats: Random in-bag assignments behind the chance figures.
        seed: Seed of those.

    Returns:
        The figures by group.
    """
    pseudo, truth, bag = labels.pseudo, labels.truth, labels.bag
    counted = scored(truth, bag, labels.candidates)  # (M,)
    width = (labels.candidates >= 0).sum(1)[bag]  # (M,)
    none = np.empty(0, dtype=np.int64)
    wrong, wrong_random = confusion(pseudo, truth, bag, labels.candidates)
    per_image = {
        **_refined(labels, counted, repeats, seed),
        "entropy": labels.entropy,
        "entropy_normalised": _ratio(labels.entropy, np.log(np.maximum(width, 1))),
        "flip_rate": flips(labels.member, pseudo, *(before or (none, none))),
        "confusion": wrong,
        "confusion_random": wrong_random,
    }  # each (M,)
    per_bag = presence(pseudo, bag, labels.candidates)  # (B,)
    found = {}
    for name, inside in groups.items():
        here = inside[bag]  # (B,) -> (M,)
        amiss = here & ~np.isnan(wrong)
        found[name] = LabelDiagnostics(
            n_bags=int(inside.sum()),
            n_images=int(here.sum()),
            n_scored=int((here & counted).sum()),
            n_repeated=int((here & ~np.isnan(per_image["flip_rate"])).sum()),
            n_wrong=int(amiss.sum()),
            presence=_mean(per_bag[inside]),
            confused_pairs=confused_pairs(pseudo[amiss], truth[amiss]),
            **{figure: _mean(values[here]) for figure, values in per_image.items()},
        )
    return found


def _refined(labels: EpochLabels, counted: _Bools, repeats: int, seed: int) -> dict[str, _Floats]:
    """For each image whether its label is right, three ways, and how often random labels are; NaN if not scored."""
    truth, bag = labels.truth[counted], labels.bag[counted]
    draws = random_labels(labels.candidates[bag], repeats=repeats, seed=seed)
    rules: dict[str, Callable[[_Ints], _Bools]] = {
        "raw": lambda pseudo: pseudo == truth,
        "bag_matched": lambda pseudo: bag_matched(pseudo, truth, bag),
        "set_matched": lambda pseudo: set_matched(pseudo, truth),
    }
    found = {}
    for name, rule in rules.items():
        right = np.full((2, len(labels)), np.nan)
        right[0, counted] = rule(labels.pseudo[counted])
        right[1, counted] = np.mean([rule(draw) for draw in draws], axis=0)
        found[name], found[f"{name}_random"] = right
    return found


def _in_pairs(a: _Ints, b: _Ints, pair_a: _Ints, pair_b: _Ints) -> _Bools:
    """Whether (a, b) is one of the pairs; `a` and `b` may be broadcast. All `a` >= 0, `b` >= -1."""
    base = int(max(b.max(initial=0), pair_b.max(initial=0))) + 2
    return np.isin(a * base + b + 1, pair_a * base + pair_b + 1)


def _ratio(part: npt.NDArray[np.floating] | _Ints, whole: npt.NDArray[np.floating] | _Ints) -> _Floats:
    """Division that gives NaN where the denominator is not above 0."""
    result: _Floats = part / np.where(whole > 0, whole, np.nan)
    return result


def _mean(values: _Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
