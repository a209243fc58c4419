"""Pseudo labels bag by bag: each candidate present, and all about equally often."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wsreid.inference.pseudo_labels import PseudoLabels


def greedy_balanced_bag(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Greedy balanced assignment of one bag's images to its K labels.

    Unary-only graph model of github.com/wanggrun/SYSU-30k (paper arXiv:1904.03845). With q = floor(n / K), in each of
    K rounds every open image votes for its best open label; the label with most votes wins, takes its q highest
    voters and closes. The last label takes the rest, so each label ends with at least q images. Ties: the first
    label of the list, the first image of the bag.

    With fewer images than labels (the official code stops there) q is 1: no two images get the same label.

    Args:
        scores: Raw logits of the K candidates, `(n, K)`.

    Returns:
        Index in 0..K-1 of each image's label, `(n,)`.
    """
    n, K = scores.shape
    quota = max(1, n // K)
    assigned = np.full(n, -1, dtype=np.int64)
    closed = np.zeros(K, dtype=bool)
    for remaining in range(K, 0, -1):
        open_images = np.flatnonzero(assigned < 0)
        votes = np.where(closed, -np.inf, scores[open_images]).argmax(1)  # (n_open, K) -> (n_open,)
        winner = int(np.bincount(votes, minlength=K).argmax())
        voters = open_images[votes == winner]
        if remaining > 1:
            voters = voters[np.argsort(-scores[voters, winner], kind="stable")[:quota]]
        assigned[voters] = winner
        closed[winner] = True
        if (assigned >= 0).all():
            break
    return assigned


@torch.no_grad()
def greedy_balanced(logits: Tensor, candidates: Tensor, bag: Tensor) -> PseudoLabels:
    """Greedy balanced assignment inside each bag, see `greedy_balanced_bag`.

    Meant for whole bags: a sample of a bag need not hold each of its identities.

    Args:
        logits: `(N, C)` floating point.
        candidates: Class indices of each image's bag, `(N, L)` long, padded with -1; equal within a bag.
        bag: Index of each image's bag, `(N,)` long.

    Returns:
        The labels, and a distribution with all its mass on them; -1 and zeros for images without candidates.
    """
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    scores = inside.to(torch.promote_types(inside.dtype, torch.float32)).cpu().numpy()
    columns = candidates.cpu().numpy()
    bags = bag.cpu().numpy()
    position = np.full(len(bags), -1, dtype=np.int64)
    for index in np.unique(bags):
        images = np.flatnonzero(bags == index)
        valid = np.flatnonzero(columns[images[0]] >= 0)
        if len(valid):
            position[images] = valid[greedy_balanced_bag(scores[np.ix_(images, valid)])]
    found = torch.from_numpy(position).to(logits.device)  # (N,)
    at = found.clamp(min=0)[:, None]  # (N, 1)
    has_label = found >= 0  # (N,)
    probs = torch.zeros(candidates.shape, device=logits.device)  # (N, L)
    if candidates.shape[1] == 0:
        return PseudoLabels(ids=found, probs=probs)
    probs.scatter_(1, at, has_label[:, None].float())
    ids = candidates.gather(1, at)[:, 0].masked_fill(~has_label, -1)  # (N, L) -> (N,)
    return PseudoLabels(ids=ids, probs=probs)
