"""Watches the labels of each training epoch, and logs and writes their figures."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TypedDict

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.errors import ConfigError
from wsreid.inference import PseudoLabels
from wsreid.methods.base import Method
from wsreid.methods.diagnostics import ALL, LabelDiagnostics, bag_groups, confidences, diagnose, entropies, size_bins
from wsreid.methods.diagnostics_file import DIAGNOSTICS_FILE, cut_after, write_epoch
from wsreid.methods.epoch_labels import EpochLabels, chosen, join

_Ints = npt.NDArray[np.int64]

REFINE = ("raw", "bag_matched", "set_matched")
LOGGED = {
    **{f"{name}{end}": f"train/label_refine/{name}{end}" for name in REFINE for end in ("", "_random")},
    **{
        name: f"train/labels/{name}"
        for name in ("presence", "entropy", "entropy_normalised", "flip_rate", "confusion", "confusion_random")
    },
}
_PENDING = 16  # batches whose labels stay on the device; fetching each at once would wait for the device in each step
_MOST_HALVINGS = 60


class DiagnosticsState(TypedDict):
    """What a checkpoint holds.

    Attributes:
        finished: Last epoch whose figures are written; -1 = none.
        epoch: The epoch that `part` is of.
        halvings: The share of the bags that is kept is 2^-halvings.
        bins: Ranges of bag sizes.
        member: Members labelled in the latest finished epoch, ascending.
        label: Their labels.
        part: Labels of the epoch under way, the fields of `EpochLabels`; empty at an epoch's end.
    """

    finished: int
    epoch: int
    halvings: int
    bins: list[list[int]]
    member: Tensor
    label: Tensor
    part: dict[str, Tensor]


class DiagnosticsCallback(pl.Callback):
    """Figures of each epoch's labels: how right, how certain, how steady, what is confused; see docs/diagnostics.md.

    It listens to the training batches, so it costs no forward pass: the labels are those that the method trained on
    (augmented images, weights that move within the epoch, a table's labels where the method keeps a table). Logged as
    `train/label_refine/...` and `train/labels/...`; written, by bag size and camera count too, to diagnostics.csv in
    the run folder. Truth is read here alone, outside of the training path; what needs it is n/a where there is none,
    and all is n/a where batches are not drawn by bag (an oracle's identity batches). Over several processes the figures
    are those of all; of a checkpoint in mid-epoch, which process 0 writes, the labels of the others are missing.

    Args:
        every_n_epochs: Epochs from one diagnosis to the next; 0 = off. Flips are counted from one to the next.
        max_members: Most images an epoch to look at; of a larger set whole bags are chosen, by a hash of their id: the
            same in each epoch.
        repeats: Random in-bag assignments behind the chance figures.
        seed: Seed of those, and of the choice of bags.

    Attributes:
        result: The latest figures, by group; empty before the first epoch's end.
        labels: The labels that they are of, on each process those of all; None = there are none.

    Raises:
        ConfigError: A number is out of its range.
    """

    def __init__(self, every_n_epochs: int = 1, max_members: int = 200_000, repeats: int = 5, seed: int = 0) -> None:
        for name, value, least in (
            ("every_n_epochs", every_n_epochs, 0),
            ("max_members", max_members, 1),
            ("repeats", repeats, 1),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ConfigError(f"diagnostics.{name} must be at least {least}, got {value}")
        self.every_n_epochs = every_n_epochs
        self.max_members = max_members
        self.repeats = repeats
        self.seed = seed
        self.result: dict[str, LabelDiagnostics] = {}
        self.labels: EpochLabels | None = None
        self._finished = -1
        self._epoch = -1
        self._halvings = 0
        self._bins: list[tuple[int, int]] = []
        self._before: tuple[_Ints, _Ints] | None = None
        self._pending: list[tuple[PseudoLabels, dict[str, Tensor]]] = []
        self._parts: list[EpochLabels] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cuts the file behind the last epoch that the checkpoint knows."""
        if self.every_n_epochs and trainer.is_global_zero:
            cut_after(_file(trainer), self._finished)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends the epoch before, should its end have been lost: a checkpoint written between its steps and its end."""
        if self._parts and self._epoch != trainer.current_epoch:
            self._end_epoch(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Keeps the labels of a batch."""
        if not self._watches(trainer) or not isinstance(pl_module, Method) or not isinstance(batch, BagBatch):
            return
        labels = pl_module.latest_labels
        if labels is None or len(labels.ids) != len(batch):  # the step was skipped: these are of an earlier batch
            return
        self._epoch = trainer.current_epoch
        names = ("member", "row", "camera", "bag", "bag_id", "bag_size", "candidates")
        self._pending.append((labels, {name: getattr(batch, name) for name in names} | {"truth": batch.truth.ids}))
        if len(self._pending) >= _PENDING:
            self._fetch()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs and writes the figures."""
        if not self._watches(trainer) or not isinstance(pl_module, Method):
            return
        self._epoch = trainer.current_epoch
        self._end_epoch(trainer)
        for field, name in LOGGED.items():
            value = getattr(self.result[ALL], field)
            if value is not None:
                pl_module.log(name, value, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)

    def state_dict(self) -> DiagnosticsState:  # type: ignore[override]  # Lightning types it as any dict
        """What a checkpoint holds."""
        self._fetch()
        part = join(self._parts)
        member, label = self._before or (np.empty(0, np.int64), np.empty(0, np.int64))
        return {
            "finished": self._finished,
            "epoch": self._epoch,
            "halvings": self._halvings,
            "bins": [list(ends) for ends in self._bins],
            "member": torch.from_numpy(member),
            "label": torch.from_numpy(label.astype(np.int32)),
            "part": {} if part is None else {f.name: torch.from_numpy(getattr(part, f.name)) for f in fields(part)},
        }

    def load_state_dict(self, state_dict: DiagnosticsState) -> None:  # type: ignore[override]  # as above
        """Goes on from a checkpoint."""
        self._finished, self._epoch = state_dict["finished"], state_dict["epoch"]
        self._halvings = state_dict["halvings"]
        self._bins = [(start, end) for start, end in state_dict["bins"]]
        member, label = state_dict["member"].numpy(), state_dict["label"].numpy().astype(np.int64)
        self._before = (member, label) if self._finished >= 0 else None
        self._pending = []
        part = {name: values.numpy() for name, values in state_dict["part"].items()}
        self._parts = [EpochLabels(**part)] if part else []

    @property
    def finished(self) -> int:
        """The epoch that `result` and `labels` are of; -1 = none."""
        return self._finished

    def _watches(self, trainer: pl.Trainer) -> bool:
        return self.every_n_epochs > 0 and (trainer.current_epoch + 1) % self.every_n_epochs == 0

    def _fetch(self) -> None:
        for labels, batch in self._pending:
            part = _part(labels, {name: values.cpu().numpy() for name, values in batch.items()})
            self._parts.append(chosen(part, self._halvings, self.seed))
        self._pending = []
        self._thin()

    def _thin(self) -> None:
        while sum(map(len, self._parts)) > self.max_members and self._halvings < _MOST_HALVINGS:
            self._halvings += 1
            whole = join(self._parts)
            self._parts = [] if whole is None else [chosen(whole, self._halvings, self.seed)]

    def _gather(self, trainer: pl.Trainer) -> None:
        """Gives each process the labels of all."""
        mine = (join(self._parts), self._halvings)
        everyone: list[tuple[EpochLabels | None, int]] = [mine] * trainer.world_size
        torch.distributed.all_gather_object(everyone, mine)
        self._halvings = max(halvings for _, halvings in everyone)
        parts = [part for part, _ in everyone if part is not None]
        self._parts = [chosen(part, self._halvings, self.seed) for part in parts]
        self._thin()

    def _end_epoch(self, trainer: pl.Trainer) -> None:
        self._fetch()
        if trainer.world_size > 1:
            self._gather(trainer)
        self.labels = labels = join(self._parts)
        self._parts = []
        if labels is None or len(labels) == 0:
            self.result, self._before = {ALL: LabelDiagnostics()}, None
        else:
            self._bins = self._bins or size_bins(labels.bag_size)
            self.result = diagnose(
                labels, self._before, bag_groups(labels, self._bins), repeats=self.repeats, seed=self.seed
            )
            named = labels.pseudo >= 0
            # members of bags that are drawn anew mean other images in each epoch
            anew = getattr(getattr(trainer, "datamodule", None), "redraw_bags", False)
            self._before = None if anew else (labels.member[named], labels.pseudo[named])
        self._finished = self._epoch
        if trainer.is_global_zero:
            write_epoch(_file(trainer), self._epoch, self.result)


def _part(labels: PseudoLabels, batch: dict[str, _Ints]) -> EpochLabels:
    """The labels of a batch's images that were drawn by bag."""
    probs, pseudo = labels.probs.detach().float().cpu().numpy(), labels.ids.cpu().numpy()
    own = batch["candidates"][batch["bag"]]  # (B, L) -> (N, L)
    whole = EpochLabels(
        pseudo=pseudo, entropy=entropies(probs, own), confidence=confidences(probs, own, pseudo), **batch
    )
    return whole.images((whole.member >= 0) & (whole.bag_id[whole.bag] >= 0))


def _file(trainer: pl.Trainer) -> Path:
    return Path(trainer.default_root_dir) / DIAGNOSTICS_FILE
