"""What the processes of the pool run for CV-MIML; imported by name there."""

from dataclasses import replace
from unittest import mock

import torch
import torch.nn.functional as F

from wsreid.inference import SeedGroups
from wsreid.methods import CVMIML

from .conftest import NUM_IDS, TinyNet, bag_batch

BAGS = 5


def steps(seed):
    """Two steps of one batch: the batch, features and groups. All batches name some of the same classes."""
    generator = torch.Generator().manual_seed(seed)
    for step in range(2):
        batch = bag_batch(seed, bags=BAGS - seed % 2, per_bag=3)
        batch = replace(batch, camera=torch.randint(-1, 2, (len(batch),), generator=generator))
        features = F.normalize(torch.randn(len(batch), 11, generator=generator), dim=1)
        # the last process has no group in its first step
        member = torch.rand(len(batch), 2, generator=generator) < (0.7 if step or seed < 2 else 0.0)
        yield batch, features, SeedGroups(seed=batch.candidates * 0, member=member)


def prototypes_of(seeds):
    """The prototypes after two steps on the batches of some processes."""
    with mock.patch("wsreid.methods.base.build_network", side_effect=lambda *_, **__: TinyNet()):
        method = CVMIML(num_ids=NUM_IDS)
    for together in zip(*(steps(seed) for seed in seeds), strict=True):
        bags, images = 0, []
        for batch, features, groups in together:  # as one batch
            images.append((batch.bag + bags, batch.camera, features, groups.member))
            bags += len(batch.candidates)
        bag, camera, features, member = (torch.cat(parts) for parts in zip(*images, strict=True))
        candidates = torch.cat([batch.candidates for batch, _, _ in together])
        whole = replace(together[0][0], bag=bag, camera=camera, candidates=candidates)
        method._move(whole, features, SeedGroups(seed=candidates * 0, member=member))
    return method.prototypes


def prototypes_together(group):
    return prototypes_of([group.rank])
