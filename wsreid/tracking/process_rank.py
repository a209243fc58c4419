"""Which process of a distributed run this is."""

from lightning.pytorch.utilities import rank_zero_only


def process_rank() -> int:
    """Rank of this process, 0 where there is only one; known before any process group exists."""
    return int(getattr(rank_zero_only, "rank", 0))
