"""Scores of whole tiles: fast, and wrong by no more than a bound."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreid.retrieval.features import Metric
from wsreid.retrieval.scores import MILD

BLOCK = 256  # entries added up in one float32 product: the error grows with it, on a GPU the speed too
CPU_BLOCK = 64  # on the CPU the speed does not; a half of it for narrow rows
NARROW = 1024
PANEL = 504  # columns added to again and again on the CPU: they stay in the cache


def block_of(rows: Tensor) -> int:
    """Entries of `rows` `(n, D)` that `product32` adds up at once."""
    width = rows.shape[1]
    if rows.device.type != "cpu" or width > CPU_BLOCK * BLOCK:  # each block adds an error too
        return BLOCK
    return CPU_BLOCK // 2 if width <= NARROW else CPU_BLOCK


def product32(q: Tensor, g: Tensor, out: Tensor | None = None) -> Tensor:
    """`(q, D)`, `(g, D)` -> `(q, g)` float32, added up in blocks so that the error does not grow with D.

    Args:
        q: Float32 rows.
        g: Float32 rows.
        out: Where the result goes.

    Returns:
        The products of each row of `q` with each row of `g`.
    """
    block = block_of(q)
    total = q.new_empty(len(q), len(g)) if out is None else out
    panel = len(g) if q.device.type != "cpu" else PANEL
    for first in range(0, len(g), max(panel, 1)):
        part, rows = total[:, first : first + panel], g[first : first + panel]
        torch.mm(q[:, :block], rows[:, :block].T, out=part)  # (q, D), (p, D) -> (q, p)
        for start in range(block, q.shape[1], block):
            part.addmm_(q[:, start : start + block], rows[:, start : start + block].T)
    return total


def error_bound(width: int, metric: Metric, longest_query: float, longest_gallery: float, block: int = BLOCK) -> float:
    """How far a float32 score may lie from the exact one.

    A product of b entries, b the block, errs by b u |q||g| in any order of additions (u = 2^-24; Higham, "Accuracy and
    Stability of Numerical Algorithms", eq. 3.5), each further block adds one rounding, each scaled entry two; 1 % pays
    for second-order terms, 1e-12 |q||g| for the float64 score itself.

    Args:
        width: Dimension D.
        metric: The similarity; `euclidean` doubles the product and rounds |g|^2 and the difference.
        longest_query: Greatest norm of the query rows as they are multiplied: 1 under `cosine`.
        longest_gallery: Greatest norm of the gallery rows.
        block: Entries added up at once; the default's bound holds for all that `block_of` may choose.

    Returns:
        The bound: for unit rows of dimension 2048 about 6e-6 in blocks of 64, 1.6e-5 in blocks of 256.
    """
    u = 2.0**-24
    blocks = -(-width // block)
    product = (min(width, block) + blocks + 6) * u * 1.01 * longest_query * longest_gallery
    slack = 1e-12 * longest_query * longest_gallery + width * 2.0**-125  # entries flushed to zero
    if metric != "euclidean":
        return product + slack
    return 2 * product + 4 * u * (longest_gallery**2 + 2 * longest_query * longest_gallery) + 2 * slack


def product64(q: Tensor, g: Tensor, out: Tensor | None = None) -> Tensor:
    """`(q, D)`, `(g, D)` -> `(q, g)` float64, in blocks as `product32`: the smaller the error, the fewer doubts."""
    block = _block64(q.shape[1])
    total = torch.mm(q[:, :block], g[:, :block].T, out=out)  # (q, D), (g, D) -> (q, g)
    for start in range(block, q.shape[1], block):
        total.addmm_(q[:, start : start + block], g[:, start : start + block].T)
    return total


def _block64(width: int) -> int:
    """Entries that `product64` adds up at once, the same on all devices."""
    return CPU_BLOCK // 2 if width <= NARROW else CPU_BLOCK


def error_bound64(width: int, metric: Metric, longest_query: float, longest_gallery: float) -> float:
    """How far a score of `product64`, in whatever order a library adds it up, may lie from the exact score.

    The product errs by at most (b + D / b) u |q||g|, u = 2^-53, b its block. The exact score adds up pairwise: no
    entry passes through more than 15 + 3 additions in its block of 128, up to 7 more where a block's length is no
    multiple of 8, one for each halving of the row, and a multiplication.

    Args:
        width: Dimension D.
        metric: The similarity.
        longest_query: Greatest norm of the query rows.
        longest_gallery: Greatest norm of the gallery rows.

    Returns:
        The bound.
    """
    block, halvings, longest = _block64(width), 0, width
    while longest > 128:
        halvings, longest = halvings + 1, longest - longest // 2 // 8 * 8
    exact = 15 + 3 + (7 if width % 8 else 0) + halvings + 1  # halves of a multiple of 8 are multiples of 8
    additions = min(width, block) + width // block + 1 + exact
    product = additions * 2.0**-53 * longest_query * longest_gallery * 1.01
    if metric != "euclidean":
        return product
    return 2 * product + 2.0**-50 * (longest_gallery**2 + longest_query * longest_gallery)


def dot_bound(width: int, metric: Metric, longest_query: float, norm: Tensor) -> Tensor:
    """How far a float64 score may lie from the exact one if a library added it up, and the norms too, in one go.

    In any order D additions and multiplications err by D u |q||g| (u = 2^-53), a norm by D / 2 + 1 units of its last
    place; the rest pays for the exact score itself, as in `error_bound64`.

    Args:
        width: Dimension D.
        metric: The similarity.
        longest_query: Greatest norm of the query rows: 1 under `cosine`.
        norm: Norms of the gallery rows, `(n,)` float64: 1 under `cosine`.

    Returns:
        `(n,)` float64.
    """
    u = 2.0**-53 * 1.01
    product = (1.5 * width + 64) * u * longest_query * norm
    if metric != "euclidean":
        return product
    return 2 * product + (width + 64) * u * norm.square()


def fits_float32(norms: Tensor) -> bool:
    """Whether rows with these norms `(N,)` can be multiplied in float32 without overflow or lost digits."""
    return bool(((norms == 0) | ((norms >= MILD[0]) & (norms <= MILD[1]))).all())
