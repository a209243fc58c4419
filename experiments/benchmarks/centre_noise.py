"""Features on a device: a centre for each identity, and noise, at a wanted rank-1."""

import numpy as np
import torch
from torch import Tensor

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]
CHUNK = 2**28  # random numbers made at once


def similarity_for(rank1: float, matches: int, gallery: int, width: int) -> float:
    """Expected cosine of a query and its matches at which rank-1 is `rank1`.

    Cosines of random rows are about N(0, 1/D). Those of a query with its matches, a on the average, err together by
    the query's distance from the centre, with variance a (1 - a)^2 / D, and each on its own with
    (1 - a)^2 (1 + a + a^2) / D. The first rank is a match's if the best of them exceeds the best of all others.

    Args:
        rank1: Between 0 and 1.
        matches: Matches a query.
        gallery: Gallery rows.
        width: Dimension D.

    Returns:
        The cosine a.
    """
    x = torch.linspace(-12, 60, 3601, dtype=torch.float64)  # cosine times sqrt(D)
    beats = (gallery * torch.special.log_ndtr(x)).exp()  # all others score below it
    z = torch.linspace(-4, 4, 33, dtype=torch.float64)
    weight = (-(z**2) / 2).softmax(0)
    low, high = 0.0, 0.99
    for _ in range(30):
        a = (low + high) / 2
        together = a * width**0.5 + a**0.5 * (1 - a) * z
        apart = (1 - a) * (1 + a + a * a) ** 0.5
        best = (matches * torch.special.log_ndtr((x - together[:, None]) / apart)).exp()  # (z, x)
        reached = float(weight @ (best.diff(dim=1) @ ((beats[1:] + beats[:-1]) / 2)))
        low, high = (a, high) if reached < rank1 else (low, a)
    return (low + high) / 2


def distractors(rows: int, width: int, dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
    """Random rows of norm about 1, `(rows, width)`, made in chunks; float16 ones are the float32 ones rounded."""
    generator = torch.Generator(device).manual_seed(seed)
    out = torch.empty(rows, width, dtype=dtype, device=device)
    step = max(1, CHUNK // width)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        out[start:stop] = torch.randn(stop - start, width, generator=generator, device=device) * width**-0.5
    return out


def plant(
    gallery: Tensor, identities: int, matches: int, similarity: float, seed: int, queries: int = 1
) -> tuple[Tensor, Ids, Ids]:
    """Puts each query's matches into the gallery: a centre and noise, as the query itself.

    Args:
        gallery: `(G, D)`, changed in place at random rows.
        identities: Number of identities that are asked for.
        matches: Matches of each.
        similarity: Expected cosine of two rows of one identity.
        seed: Of the draws.
        queries: Queries of each; there are Q in all.

    Returns:
        Queries `(Q, D)` of the gallery's type, their identities `(Q,)`, those of the gallery `(G,)`.
    """
    (rows, width), device = gallery.shape, gallery.device
    generator = torch.Generator(device).manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        noise: Tensor = torch.randn(*shape, width, generator=generator, device=device) * width**-0.5
        return noise

    centre = draw(identities)  # (I, D)
    noise = draw(identities, queries + matches)  # (I, q + k, D)
    images = similarity**0.5 * centre[:, None] + (1 - similarity) ** 0.5 * noise
    place = torch.randperm(rows, generator=generator, device=device)[: identities * matches]
    gallery[place] = images[:, queries:].reshape(-1, width).to(gallery.dtype)  # (I, k, D) -> (I k, D)
    pid = np.arange(identities)
    g_pid: Ids = identities + np.arange(rows)
    g_pid[place.cpu().numpy()] = np.repeat(pid, matches)
    asked = images[:, :queries].reshape(-1, width)  # (I, q, D) -> (Q, D)
    return asked.to(gallery.dtype).contiguous(), np.repeat(pid, queries), g_pid
