"""Noise in the bags' labels: unknown persons, missing candidates, extra candidates."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft, offsets_of
from wsreid.data.seeding import stream
from wsreid.errors import DataError

_log = logging.getLogger(__name__)


def add_noise(draft: BagDraft, *, missing: float, extra: float, unknown: float, seed: int, epoch: int = 0) -> BagDraft:
    """Makes bag labels wrong; no image is moved.

    In this order, each from a random stream of its own:

    * unknown: each identity is, with this probability, a person that nobody knows. It is taken out of every bag's
      label and never added to one, while its images stay. The draw is per identity and holds for the whole data set
      (and for all epochs), so the images' true identity is a candidate nowhere. A bag left without candidates is left
      out, with its images.
    * missing: each (bag, candidate) is dropped with this probability while its images stay. The draw is per bag: the
      identity remains a candidate in its other bags. A bag that would lose all its candidates keeps one of them.
    * extra: each bag gets, with this probability, one more candidate, drawn uniformly from the known identities that
      the bag did not name before anything was dropped. Only identities that some bag names can be drawn, so
      identities held out for validation never are.

    Args:
        draft: The bags with true labels.
        missing: Probability of a missing candidate.
        extra: Probability of an extra candidate.
        unknown: Probability of an unknown person.
        seed: Seed of the noise.
        epoch: Epoch, where bags are drawn anew for each.

    Returns:
        The bags with noisy labels.

    Raises:
        DataError: All bags have lost their labels to `unknown`.
    """
    classes = np.unique(draft.candidates).astype(np.int64)
    if unknown > 0:
        known = classes[stream("bags: unknown", seed).random(len(classes)) >= unknown]
        draft = _without_empty(_keep(draft, np.isin(draft.candidates, known)))
        classes = known
    named = draft
    if missing > 0:
        draws = stream("bags: missing", seed, epoch).random(len(draft.candidates))
        best = np.maximum.reduceat(draws, draft.candidate_offsets[:-1])  # (B,): dropped only if all of the bag are
        draft = _keep(draft, (draws >= missing) | (draws == np.repeat(best, np.diff(draft.candidate_offsets))))
    if extra > 0:
        draft = _with_extra(draft, named, classes, extra, stream("bags: extra", seed, epoch))
    return draft


def _keep(draft: BagDraft, kept: NDArray[np.bool_]) -> BagDraft:
    return replace(
        draft,
        candidates=draft.candidates[kept],
        candidate_offsets=offsets_of(draft.owner[kept], len(draft)),
    )


def _without_empty(draft: BagDraft) -> BagDraft:
    labels = np.diff(draft.candidate_offsets)
    kept = labels > 0
    if kept.all():
        return draft
    if not kept.any():
        raise DataError("data.bags.unknown leaves no bag with a label: lower it, or make larger bags")
    _log.warning("%d of %d bags hold unknown persons alone and are left out", int((~kept).sum()), len(draft))
    ranges = np.diff(draft.range_offsets)
    in_kept = np.repeat(kept, ranges)
    return BagDraft(
        bag_id=draft.bag_id[kept],
        candidates=draft.candidates,
        candidate_offsets=np.append(0, np.cumsum(labels[kept])),
        range_start=draft.range_start[in_kept],
        range_stop=draft.range_stop[in_kept],
        range_offsets=np.append(0, np.cumsum(ranges[kept])),
    )


def _with_extra(
    draft: BagDraft, named: BagDraft, classes: NDArray[np.int64], extra: float, rng: np.random.Generator
) -> BagDraft:
    possible = np.diff(named.candidate_offsets) < len(classes)
    bags = np.flatnonzero((rng.random(len(draft)) < extra) & possible)
    scale = int(classes.max()) + 1
    taken = np.unique(named.owner * scale + named.candidates)
    drawn = rng.choice(classes, len(bags))
    while (clash := np.flatnonzero(np.isin(bags * scale + drawn, taken))).size:
        drawn[clash] = rng.choice(classes, len(clash))
    keys = np.sort(np.concatenate([draft.owner * scale + draft.candidates, bags * scale + drawn]))
    return replace(
        draft, candidates=(keys % scale).astype(np.int32), candidate_offsets=offsets_of(keys // scale, len(draft))
    )
