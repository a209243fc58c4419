"""Random bags for the tests of bag losses, and their loops."""

import torch


def random_bags(seed, sizes=(3, 1, 4), c=9, dims=5):
    """Bags of given sizes, images in mixed order; one bag has one candidate, some columns are padding."""
    generator = torch.Generator().manual_seed(seed)
    bag = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    bag = bag[torch.randperm(len(bag), generator=generator)]
    logits = torch.randn(len(bag), c, generator=generator, dtype=torch.float64) * 3
    candidates = torch.stack([torch.randperm(c, generator=generator)[:3] for _ in sizes])
    candidates[0, 1:] = -1
    candidates[-1, 0] = -1
    features = torch.randn(len(bag), dims, generator=generator, dtype=torch.float64)
    return logits, bag, candidates, features


def images_of(bag, b):
    return [i for i, own in enumerate(bag.tolist()) if own == b]


def label_of(candidates, b):
    return [c for c in candidates[b].tolist() if c >= 0]


def slot_of(candidates, b, c):
    return candidates[b].tolist().index(c)
