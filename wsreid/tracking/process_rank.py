"""Which process of a distributed run this is."""


def process_rank() -> int:
    """Rank of this process, 0 where there is only one; known before any process group exists."""
    from lightning.pytorch.utilities import rank_zero_only  # here: who reads run folders does without Lightning

    return int(getattr(rank_zero_only, "rank", 0))
