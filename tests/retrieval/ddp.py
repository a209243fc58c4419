"""A module and a trainer as small as the callback allows, for one process and for several."""

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, DistributedSampler


class Batches(torch.utils.data.Dataset):
    """Images whose pixels are their features, with what an EvalBatch carries."""

    def __init__(self, features, pid, camera, first):
        self.items = [
            {"x": torch.from_numpy(f), "pid": int(p), "camera": int(c), "row": first + i}
            for i, (f, p, c) in enumerate(zip(features, pid, camera, strict=True))
        ]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Data(pl.LightningDataModule):
    """Queries are the rows from 100, gallery images those from 500."""

    def __init__(self, problem, sides=2, rank=0, size=1):
        super().__init__()
        p = problem
        sets = [
            (Batches(p.query, p.q_pid, p.q_cam, 100), 3),
            (Batches(p.gallery, p.g_pid, p.g_cam, 500), 8),
        ][:sides]
        self.loaders = [
            DataLoader(images, batch_size, sampler=DistributedSampler(images, size, rank, shuffle=False))
            for images, batch_size in sets
        ]

    def train_dataloader(self):
        return DataLoader(torch.zeros(2, 1))

    def val_dataloader(self):
        return self.loaders

    def test_dataloader(self):
        return self.loaders

    def describe_row(self, row):
        return f"img_{row}.jpg"


class Model(pl.LightningModule):
    """Features = pixels x a weight that training does not touch."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch, batch_idx):
        return self.scale * 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def score(self, batch):
        return {
            "features": batch["x"] * self.scale,
            **{key: batch[key] for key in ("pid", "camera", "row")},
        }

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        return self.score(batch)

    def test_step(self, batch, batch_idx, dataloader_idx=0):
        return self.score(batch)


def trainer(tmp_path, callback, **options):
    options = {"logger": False, "enable_checkpointing": False, "max_epochs": 1, "devices": 1, **options}
    return pl.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[callback, *options.pop("callbacks", [])],
        **options,
    )
