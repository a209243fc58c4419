"""Optimal transport inside each bag: images to candidates, with a say on how often each candidate occurs.

Entropic transport and its scaling iteration: Cuturi, "Sinkhorn Distances", arXiv:1306.0895. Constraints other than
equality: Chizat et al., "Scaling Algorithms for Unbalanced Transport Problems", arXiv:1607.05816. As pseudo labels:
Caron et al., "SwAV", arXiv:2006.09882; inside a bag it is ours.
"""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32

_CHECK_EVERY = 5  # rounds: on a GPU each look at the error waits for it


@torch.no_grad()
@in_float32
def sinkhorn(
    scores: Tensor,
    candidates: Tensor,
    bag: Tensor,
    mass: Tensor,
    at_least: Tensor | None = None,
    eps: float = 1.0,
    tolerance: float = 1e-4,
    max_rounds: int = 1000,
) -> Tensor:
    """Shares of each image's candidates, such that each bag gives each candidate a mass that was asked for.

    For a bag of n images with scores M, all bags at once:

        Q = argmax_{Q >= 0} sum_ic Q_ic M_ic - eps sum_ic Q_ic (log Q_ic - 1)
            with  sum_c Q_ic = 1/n  and  sum_i Q_ic = r_c  (or >= r_c)

    Q = diag(u) exp(M / eps) diag(v), found in turns, in the log domain: u = (1/n) / (exp(M / eps) v), then
    v = r / s with s = exp(M / eps)' u. For r_c as a lower bound v = max(1, r / s), which is the proximal step of
    arXiv:1607.05816 for that constraint. Each turn is an exact maximisation of the concave dual over one block
    (v >= 1 is the sign of the bound's multiplier), so it comes to the exact optimum; scaling a column up where it falls
    short, and never down again, would not. The smaller eps, the more turns it takes.

    Args:
        scores: M, such as log p, of the candidates, `(N, L)` floating point, finite; what stands at padding is not
            read. A constant added to a row changes nothing.
        candidates: Class indices `(N, L)` long, padded with -1; equal within a bag.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        mass: r, `(B, L)` floating point, not negative; what stands at padding is not read. Masses of a bag are scaled
            to the sum 1; lower bounds are scaled only where they sum to more than 1, which no Q could fulfil.
        at_least: Bags whose r is a lower bound, `(B,)` bool; None = no bag's.
        eps: Weight of the entropy, above 0: near 0 each image has one label, at 1 Q is p itself where the masses allow.
        tolerance: Largest error of a column's mass, as a share of the bag's, at which the turns end.
        max_rounds: Most turns; after that rows are still exact, columns not.

    Returns:
        n Q, `(N, L)`, 0 at padding: rows sum to 1, those without candidates to 0.

    Raises:
        ValueError: `eps` is not above 0, or shapes do not fit.
    """
    if eps <= 0:
        raise ValueError(f"eps must be above 0, got {eps}")
    if scores.shape != candidates.shape or mass.shape[1:] != scores.shape[1:]:
        raise ValueError(
            f"scores {tuple(scores.shape)}, candidates {tuple(candidates.shape)}, mass {tuple(mass.shape)}"
        )
    if scores.numel() == 0:
        return torch.zeros_like(scores)
    count = torch.bincount(bag, minlength=len(mass))  # (N,) -> (B,)
    place = _place_in_bag(bag, count)  # (N,)
    kernel = scores.new_full((len(mass), int(count.max()), scores.shape[1]), -torch.inf)  # (B, n, L)
    kernel[bag, place] = (scores / eps).masked_fill(candidates < 0, -torch.inf)  # (N, L) -> (B, n, L)
    image, column = (kernel > -torch.inf).any(2), (kernel > -torch.inf).any(1)  # (B, n), (B, L)
    rows = -count.clamp(min=1).to(scores.dtype).log()[:, None]  # (B,) -> (B, 1)
    bound = torch.zeros_like(count, dtype=torch.bool) if at_least is None else at_least  # (B,)
    columns = _log_mass(mass.to(scores.dtype), column, bound)  # (B, L)
    v = torch.zeros_like(columns)  # (B, L), log
    for turn in range(max_rounds):
        u = (rows - (kernel + v[:, None]).logsumexp(2)).masked_fill(~image, 0)  # (B, n, L) -> (B, n)
        s = (kernel + u[:, :, None]).logsumexp(1)  # (B, n, L) -> (B, L): what each column holds before v
        new = (columns - s).masked_fill(~column, 0)  # (B, L)
        new = torch.where(bound[:, None], new.clamp(min=0), new)
        if turn % _CHECK_EVERY == 0 or turn == max_rounds - 1:
            # for a bound: short of it, or above it while v still pushes
            error = ((s + v).exp() - (s + new).exp()).masked_fill(~column, 0).abs().max()
            if float(error) <= tolerance:
                break
        v = new
    shares = (kernel + v[:, None])[bag, place]  # (B, n, L) -> (N, L)
    # softmax = the last u: rows are exact. A row without candidates is -inf throughout: it must not become NaN
    shares = shares.masked_fill((candidates < 0).all(1, keepdim=True), 0)
    return shares.softmax(1) * (candidates >= 0)  # (N, L)


def _place_in_bag(bag: Tensor, count: Tensor) -> Tensor:
    """Which image of its bag each one is, `(N,)`."""
    order = bag.argsort(stable=True)  # (N,)
    first = count.cumsum(0) - count  # (B,)
    place = torch.empty_like(bag)
    place[order] = torch.arange(len(bag), device=bag.device) - first[bag[order]]
    return place


def _log_mass(mass: Tensor, column: Tensor, bound: Tensor) -> Tensor:
    """Log of the masses that can be had, `(B, L)`: they sum to 1, bounds to at most 1."""
    mass = mass.masked_fill(~column, 0).clamp(min=0)  # (B, L)
    total = mass.sum(1, keepdim=True)  # (B, L) -> (B, 1)
    even = column / column.sum(1, keepdim=True).clamp(min=1)  # (B, L): where all masses are 0
    exact = torch.where(total > 0, mass / total.clamp(min=torch.finfo(mass.dtype).tiny), even)
    return torch.where(bound[:, None], mass / total.clamp(min=1), exact).log()
