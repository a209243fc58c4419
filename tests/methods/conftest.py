"""A two-headed network of a few hundred weights, hand-made batches, and a datamodule that serves them."""

from dataclasses import replace

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from wsreid.data.batch import BagBatch, EvalBatch, Truth
from wsreid.models import EmbeddingNet, NetworkOutput

HEIGHT, WIDTH, NUM_IDS = 16, 8, 12


class TinyNet(EmbeddingNet):
    """Two heads and one metric feature on a strided convolution."""

    def __init__(self):
        super().__init__(head_dims=(6, 5), feature_dim=11, metric_dims=(8,))
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.first = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6))
        self.second = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5))

    def forward(self, images):
        low_level = self.stem(images).relu().mean((2, 3))
        first, second = self.first(low_level), self.second(low_level)
        features = torch.cat([first, second], 1).float()
        return NetworkOutput(features=features, heads=(first, second), metric=(low_level,), low_level=low_level)


@pytest.fixture
def tiny_network(monkeypatch):
    """Methods made in the test have a TinyNet, whatever backbone they name."""
    monkeypatch.setattr("wsreid.methods.base.build_network", lambda *_, **__: TinyNet())


def bag_batch(seed=0, bags=4, per_bag=4, width=2, bag_size=None, views=1):
    """Disjoint bags; image i of a bag truly shows the bag's candidate i % width."""
    generator = torch.Generator().manual_seed(seed)
    n = bags * per_bag
    candidates = torch.randperm(NUM_IDS, generator=generator)[: bags * width].view(bags, width).sort(1).values
    bag = torch.arange(bags).repeat_interleave(per_bag)
    none = torch.full((n,), -1)
    return BagBatch(
        images=torch.randint(0, 256, (views, n, 3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8),
        bag=bag,
        candidates=candidates,
        bag_id=torch.arange(bags) + 100 * seed,
        bag_size=torch.full((bags,), bag_size or per_bag),
        member=torch.arange(n),
        row=torch.arange(n),
        camera=none,
        sequence=none,
        frame=none,
        truth=Truth(ids=candidates[bag].gather(1, (torch.arange(n) % width)[:, None])[:, 0]),
        skipped=torch.empty(0, dtype=torch.long),
    )


def permute_truth(batch, seed=1):
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))
    return replace(batch, truth=Truth(ids=batch.truth.ids[order]))


def eval_batch(seed=0, n=5):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)
    rows = torch.arange(n)
    return EvalBatch(images=images, pid=rows % 3, camera=rows % 2, row=rows, skipped=torch.empty(0, dtype=torch.long))


class Served(pl.LightningDataModule):
    """Serves given batches as they are."""

    def __init__(self, train, has_truth=True, num_ids=NUM_IDS):
        super().__init__()
        self.train = train
        self.has_truth = has_truth
        self.num_ids = num_ids
        self.needs = None

    def use(self, needs):
        self.needs = needs

    def _loader(self, batches):
        return DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)

    def train_dataloader(self):
        assert self.needs is not None
        return self._loader(self.train)

    def epoch_pass_dataloader(self, limit, epoch):
        batches = [
            EvalBatch(images=b.images[0], pid=b.truth.ids, camera=b.camera, row=b.row, skipped=b.skipped)
            for b in self.train
        ]
        return self._loader(batches[:limit])

    def refine_dataloader(self):
        return self._loader(self.train)

    def val_dataloader(self):
        return [self._loader([eval_batch(0)]), self._loader([eval_batch(1)])]

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader


def make_trainer(root, **settings):
    defaults = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "limit_val_batches": 0,
    }
    return pl.Trainer(default_root_dir=root, **(defaults | settings))
