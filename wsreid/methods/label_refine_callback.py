"""Runs the method over the training bags once and scores its pseudo labels."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch

from wsreid.data.batch import BagBatch
from wsreid.methods.base import Method
from wsreid.methods.label_refine import LabelRefine, candidate_table, label_refine
from wsreid.whole_file import whole_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Labelled:
    """A batch's pseudo labels `(N,)`, truth `(N,)`, bag ids `(N,)`, and each bag's candidates."""

    pseudo: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    bag_id: npt.NDArray[np.int64]
    candidates: dict[int, list[int]]


class LabelRefineCallback(pl.Callback):
    """Label-refine accuracy of the pseudo labels, from the truth field: a diagnostic, outside the training path.

    It reads `datamodule.refine_dataloader()`: the whole training bags, undistorted, each member once. Where the data
    has no truth the result is None, printed as n/a. The figures are logged as `test/label_refine/<figure>` (or
    `val/...`) and written to label_refine.json in the run folder. Each process labels its share
    of the bags, and all get the figures of the whole.

    Args:
        on_test: Run in the test.
        on_validation: Run after each validation too; costs a pass over the training images.
        repeats: Random in-bag assignments behind the chance figures.
        seed: Seed of those.

    Attributes:
        result: The latest figures; None before the first run and where they cannot be known.
    """

    def __init__(self, on_test: bool = True, on_validation: bool = False, repeats: int = 20, seed: int = 0) -> None:
        self.on_test = on_test
        self.on_validation = on_validation
        self.repeats = repeats
        self.seed = seed
        self.result: LabelRefine | None = None

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Runs and writes label_refine.json."""
        if not self.on_test:
            return
        self._run(trainer, pl_module, "test")
        if trainer.is_global_zero and self.result is not None:
            with whole_file(Path(trainer.default_root_dir) / "label_refine.json") as file:
                file.write(json.dumps(asdict(self.result), indent=2) + "\n")

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Runs if asked to; never in the sanity check."""
        if self.on_validation and not trainer.sanity_checking:
            self._run(trainer, pl_module, "val")

    def _run(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.result = self._measure(trainer, pl_module)
        if self.result is not None:
            for name, value in asdict(self.result).items():
                pl_module.log(f"{stage}/label_refine/{name}", float(value), sync_dist=True, batch_size=1)

    def _measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> LabelRefine | None:
        datamodule = getattr(trainer, "datamodule", None)
        if not isinstance(pl_module, Method) or datamodule is None or not datamodule.has_truth or not pl_module.trains:
            return None
        if datamodule.num_ids != pl_module.num_ids:
            _log.warning(
                "no label-refine accuracy: the method knows %d identities and the training data holds %d",
                pl_module.num_ids,
                datamodule.num_ids,
            )
            return None
        if hasattr(datamodule, "hashes"):
            pl_module.forget_other_bags(datamodule.hashes["bags"])
        training = pl_module.training
        pl_module.eval()
        try:
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                parts = [
                    _labelled(pl_module, datamodule.on_before_batch_transfer(batch, 0))
                    for batch in datamodule.refine_dataloader()
                ]
        finally:
            pl_module.train(training)
        if trainer.world_size > 1:
            gathered: list[list[_Labelled] | None] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, parts)
            parts = [part for of_rank in gathered for part in of_rank or []]
        return self._score(parts)

    def _score(self, parts: list[_Labelled]) -> LabelRefine | None:
        if not parts:
            return None
        rows: dict[int, int] = {}
        candidates: list[list[int]] = []
        for part in parts:  # the chunks of a large bag name the same bag
            for bag_id, ids in part.candidates.items():
                if bag_id not in rows:
                    rows[bag_id] = len(candidates)
                    candidates.append(ids)
        bag_ids = np.concatenate([part.bag_id for part in parts])
        return label_refine(
            np.concatenate([part.pseudo for part in parts]),
            np.concatenate([part.truth for part in parts]),
            np.array([rows[bag_id] for bag_id in bag_ids.tolist()], dtype=np.int64),
            candidate_table(candidates),
            repeats=self.repeats,
            seed=self.seed,
        )


def _labelled(method: Method, batch: BagBatch) -> _Labelled:
    on_device = batch.to(method.device)
    labels = method.pseudo_labels(on_device, method.outputs(on_device))
    return _Labelled(
        pseudo=labels.ids.cpu().numpy(),
        truth=batch.truth.ids.cpu().numpy(),
        bag_id=batch.bag_id[batch.bag].cpu().numpy(),
        candidates={
            bag_id: [c for c in ids if c >= 0]
            for bag_id, ids in zip(batch.bag_id.tolist(), batch.candidates.tolist(), strict=True)
        },
    )
