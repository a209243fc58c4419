"""The base of all methods: it owns the network, the step, the optimiser, the logging and the scoring features."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypedDict

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from wsreid.data.batch import BagBatch, EvalBatch
from wsreid.data.seeding import stream
from wsreid.errors import ConfigError, WsreidError
from wsreid.inference import PseudoLabels, candidate_softmax, most_probable
from wsreid.methods.denormals import flushed_denormals
from wsreid.methods.ema import Follower
from wsreid.methods.epoch_means import EpochMeans
from wsreid.methods.epoch_pass import EmbeddedRows, embed_training_rows
from wsreid.methods.failed_batch import FailedBatch
from wsreid.methods.member_table import MemberTable
from wsreid.methods.optimisation import OptimizerFactory, SchedulerFactory, build_schedule, parameter_groups
from wsreid.methods.option_ranges import above_zero, not_negative
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.remembers_bags import RemembersBags
from wsreid.models import EmbeddingNet, build_network

_log = logging.getLogger(__name__)


class EvalOutputs(TypedDict):
    """What the steps of scoring return; the only thing that the retrieval callback knows of a method."""

    features: Tensor
    pid: Tensor
    camera: Tensor
    row: Tensor


class Method(RemembersBags):
    """A way to learn an embedding from a bag-labelled image set.

    A subclass sets `needs`, writes `losses`, and, where its labels are not the softmax over the candidates,
    `pseudo_labels`. It passes the arguments below through as `**base`.

    Args:
        num_ids: Training identities C, the width of each classifier; from the data when run by the command line.
        backbone: "osnet_x0_25", "osnet_x0_5", "osnet_x0_75", "osnet_x1_0", "osnet_ibn_x1_0", "mgn", or any
            timm name.
        weights: File of initial weights, a path or a name in the folder WSREID_WEIGHTS_DIR; or a run's checkpoint.
        pretrained: Start from timm's published weights; needs a network connection.
        last_stride: Stride of the backbone's last stage, 1 or 2.
        pooling: Global pooling, "avg" or "gem".
        neck: "bnneck" (batch normalisation before the classifier, arXiv:1903.07071) or "none".
        lr: Learning rate of the network; the optimiser's own `lr` is not used.
        classifier_lr_factor: Learning rate of classifiers and other added heads, as a multiple of `lr`.
        optimizer: The optimiser.
        scheduler: Learning-rate scheduler, stepped once per epoch; its epochs count from the first of the run.
        warmup_epochs: Linear warm-up from 0.01 of the rate, in epochs.
        flip_test: Sum the features of the image and of its horizontal flip when scoring.
        mean: Mean of the red, green and blue channel in [0, 1], for normalisation.
        std: Their standard deviation.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType({})
    """Values that tuning tries, by option: `python -m wsreid study` draws as many trials from them for each method."""

    trains: ClassVar[bool] = True
    """Whether `fit` takes it; a method that does not is only tested, with no checkpoint and no training data."""

    follower: Follower
    """With `needs.ema`, made by `follow`: the slow copy of network and classifiers."""

    epoch_pass_limit: int | None = None
    """With `needs.epoch_pass`: most images that a pass looks at; None = all."""

    score_with: Callable[[EvalBatch], Tensor] | None = None
    """What scoring embeds a batch with instead of `embed`; `CameraNorm` sets it while it scores."""

    latest_labels: PseudoLabels | None
    """What `pseudo_labels` said of the latest training batch, for diagnostics."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_ids: int,
        backbone: str = "resnet50",
        weights: str | None = None,
        pretrained: bool = False,
        last_stride: int = 1,
        pooling: Literal["avg", "gem"] = "avg",
        neck: Literal["bnneck", "none"] = "bnneck",
        lr: float = 3.5e-4,
        classifier_lr_factor: float = 1.0,
        optimizer: OptimizerFactory = lambda params: torch.optim.Adam(params, weight_decay=5e-4),
        scheduler: SchedulerFactory | None = None,
        warmup_epochs: int = 0,
        flip_test: bool = False,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        # no callables: checkpoints are loaded with weights_only=True; no initial weights: a checkpoint replaces them,
        # and loading it must not ask for their file
        self.save_hyperparameters(ignore=["optimizer", "scheduler", "weights", "pretrained"])
        if num_ids < 1:
            raise ConfigError(f"num_ids must be at least 1, got {num_ids}: the training split holds no identity")
        above_zero(lr=lr)
        not_negative(classifier_lr_factor=classifier_lr_factor, warmup_epochs=warmup_epochs)
        self.num_ids = num_ids
        self.lr = lr
        self.classifier_lr_factor = classifier_lr_factor
        self.warmup_epochs = warmup_epochs
        self.flip_test = flip_test
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self.network = build_network(
            backbone, weights=weights, pretrained=pretrained, last_stride=last_stride, pooling=pooling, neck=neck
        )
        # on CPU a step takes 40 % less time in this layout than in the default one; GPUs want it under mixed precision
        self.network.to(memory_format=torch.channels_last)
        classifiers = [nn.Linear(width, num_ids, bias=False) for width in self.network.head_dims]
        for classifier in classifiers:
            nn.init.normal_(classifier.weight, std=0.001)  # arXiv:1903.07071: softmax starts uniform
        self.classifiers = nn.ModuleList(classifiers)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)  # (3,) -> (3, 1, 1)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self._skipped = self._trained = False
        self.latest_labels = None
        self._means = EpochMeans()
        if self.needs.member_table:
            self.table = MemberTable()

    # what a method writes

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The weighted terms of the loss, by name; the base adds them up. Called outside autocast.

        Args:
            batch: The training batch.
            outputs: What `outputs` returned for it, in float32.

        Returns:
            Scalars by name, each already times its weight.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define losses()")

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """The labels that the method deduces for the images of a batch, for diagnostics.

        By default the candidates' softmax, averaged over the heads, and its largest entry.

        Args:
            batch: The batch.
            outputs: What `outputs` returned for it.

        Returns:
            Ids `(N,)` and distribution over the candidates `(N, L)`.
        """
        candidates = batch.image_candidates  # (N, L)
        heads = torch.stack([candidate_softmax(logits, candidates) for logits in outputs.logits])  # (H, N, L)
        probs = heads.mean(0)  # (H, N, L) -> (N, L)
        return PseudoLabels(ids=most_probable(probs, candidates), probs=probs)

    def outputs(self, batch: BagBatch) -> BagOutputs:
        """The forward pass of training: the first view. A method with more views calls `view_outputs` on each."""
        return self.view_outputs(batch.images[0])  # (V, N, 3, H, W) -> (N, 3, H, W)

    def epoch_features(self, embedded: EmbeddedRows) -> None:
        """With `needs.epoch_pass`: looks at the features of the training set before each epoch.

        What is kept of them must go into checkpoints (`on_save_checkpoint`): a resume in the middle of an epoch does
        not pass over the set again.

        Args:
            embedded: The same on each process.
        """

    @property
    def learns_from(self) -> str:
        """What the method reads of the training data besides images, as comparisons show it."""
        return "true identities" if self.needs.truth else "bag labels"

    # what the base does

    def follow(self, decay: float) -> None:
        """Makes `follower`; to be called at the end of `__init__` by a method with `needs.ema`.

        Args:
            decay: Share that the average keeps in each step.
        """
        self.follower = Follower(self.network, self.followed_heads(), decay)

    def followed_heads(self) -> nn.ModuleList:
        """What `follower` follows besides the network: the classifiers, unless a method says otherwise."""
        return self.classifiers

    def generator(self, purpose: str) -> torch.Generator:
        """Random numbers for one purpose in one step: the same whenever a run with this seed gets there.

        Args:
            purpose: What they are for; two purposes never share numbers.

        Returns:
            A generator on the CPU.
        """
        trainer = self._trainer
        seed = 0 if trainer is None else int(getattr(getattr(trainer, "datamodule", None), "seed", 0))
        at = (0, 0) if trainer is None else (trainer.global_step, trainer.global_rank)
        return torch.Generator().manual_seed(int(stream(purpose, seed, *at).integers(2**62)))

    def view_outputs(self, images: Tensor) -> BagOutputs:
        """Network features and class logits.

        Args:
            images: `(N, 3, H, W)` uint8.

        Returns:
            Logits in float32, computed outside autocast: pseudo labels compare them.
        """
        return self._outputs_of(self.network, self.classifiers, images)

    @torch.no_grad()
    def follower_outputs(self, images: Tensor) -> BagOutputs:
        """The same from `follower`, without gradient."""
        return self._outputs_of(self.follower.network, self.follower.classifiers, images)

    def _outputs_of(self, network: EmbeddingNet, classifiers: nn.ModuleList, images: Tensor) -> BagOutputs:
        found = network(self.normalise(images))
        with torch.autocast(images.device.type, enabled=False):
            logits = tuple(
                classifier(head.to(classifier.weight.dtype)).float()  # (N, D_h) -> (N, C)
                for classifier, head in zip(classifiers, found.heads, strict=True)
            )
        return BagOutputs(logits=logits, network=found)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 images `(N, 3, H, W)` as the network takes them, in the network's floating point type."""
        images = images.contiguous(memory_format=torch.channels_last)
        return (images.to(self.mean.dtype) / 255 - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """The same as `embed`."""
        return self.embed(images)

    def embed(self, images: Tensor) -> Tensor:
        """Features to rank by.

        Args:
            images: `(N, 3, H, W)` uint8.

        Returns:
            `(N, D)` float32, not normalised; with `flip_test` the sum over the image and its horizontal flip.
        """
        features: Tensor = self.network(self.normalise(images)).features.float()
        if self.flip_test:
            features = features + self.network(self.normalise(images.flip(-1))).features.float()
        return features

    def setup(self, stage: str) -> None:
        """Hands `needs` to the datamodule and checks that the two fit, before any loader is made."""
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is None:
            return
        if hasattr(datamodule, "use"):
            datamodule.use(self.needs)
        if stage != "fit":
            return
        if self.needs.truth and not getattr(datamodule, "has_truth", True):
            raise ConfigError(
                f"{type(self).__name__} learns from image-level identities and this data set has none: "
                "take a method that learns from bags, such as DGL or BagCE"
            )
        num_ids = getattr(datamodule, "num_ids", self.num_ids)
        if num_ids != self.num_ids:
            raise ConfigError(
                f"the method was made for {self.num_ids} identities and the training data holds {num_ids}: "
                "train on the data of the checkpoint, or start anew without --ckpt_path"
            )

    def training_step(self, batch: BagBatch, batch_idx: int) -> Tensor | None:
        """Adds up the loss terms, refuses numbers that are not finite, logs."""
        if len(batch) < 2:
            if self.trainer.world_size > 1:
                raise WsreidError(
                    "a batch of fewer than 2 images: batch normalisation cannot train on it, and the other processes "
                    "would wait for its gradient for ever. Raise --data.bags_per_batch, or use one process"
                )
            if not self._skipped:
                _log.warning("skipping batches of fewer than 2 images: batch normalisation cannot train on them")
                self._skipped = True
            return None
        self._trained = True
        outputs = self.outputs(batch)
        with torch.autocast(self.device.type, enabled=False):
            terms = self.losses(batch, outputs)
            with torch.no_grad():
                self.latest_labels = self.pseudo_labels(batch, outputs)
        loss = torch.stack([term.float() for term in terms.values()]).sum()  # (T,) -> ()
        if not torch.isfinite(loss):
            self._refuse(batch, terms)
        size = len(batch)
        self.log("loss", loss.detach(), prog_bar=True, logger=False, on_step=True, on_epoch=False, batch_size=size)
        self._means.add({"train/loss": loss, **{f"train/{name}": term for name, term in terms.items()}}, size)
        return loss

    def _refuse(self, batch: BagBatch, terms: dict[str, Tensor]) -> None:
        numbers = {name: float(term.detach()) for name, term in terms.items()}
        bad = [f"{name}={number}" for name, number in numbers.items() if not math.isfinite(number)]
        process = f"-process{self.global_rank}" if self.trainer.world_size > 1 else ""
        path = Path(self.trainer.default_root_dir) / f"failed-batch-step{self.global_step}{process}.pt"
        weights = {name: value.detach().cpu() for name, value in self.state_dict().items()}
        try:
            FailedBatch(batch.to("cpu"), numbers, weights, self.global_step, self.current_epoch).save(path)
            kept = f"The batch and the weights are in {path} (docs/survive.md)"
        except WsreidError as error:
            kept = f"The batch is not kept: {error}"
        raise WsreidError(
            f"the loss is not finite at step {self.global_step}: {', '.join(bad) or 'the sum of the terms'}, on the "
            f"rows {', '.join(map(str, batch.row.tolist()))} of the manifest. {kept}. "
            "Lower --model.lr, add --model.warmup_epochs, or use --trainer.precision 32"
        )

    def on_train_epoch_start(self) -> None:
        """Passes over the training set where the method needs it."""
        if self.needs.epoch_pass:
            self.epoch_features(embed_training_rows(self, self.epoch_pass_limit))

    def on_train_epoch_end(self) -> None:
        """Logs the mean losses, brings the processes' tables together; an epoch without a step ends the run."""
        for name, mean in self._means.taken(self.trainer).items():
            self.log(name, mean, on_step=False, on_epoch=True, batch_size=1, sync_dist=self.trainer.world_size > 1)
        super().on_train_epoch_end()
        if self._skipped and not self._trained:
            raise WsreidError(
                "nothing was trained: each batch holds fewer than 2 images. Raise --data.bags_per_batch or "
                "--data.images_per_bag, or make larger bags"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the losses of an epoch under way."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["epoch_means"] = self._means.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them."""
        super().on_load_checkpoint(checkpoint)
        self._means.load_state_dict(checkpoint.get("epoch_means", {"sums": {}, "weights": {}}))

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], object] | None = None,
    ) -> None:
        """Takes the step, and does what belongs to it: here, so that a checkpoint of any moment has both."""
        with flushed_denormals():
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
            self.after_step()

    def after_step(self) -> None:
        """What follows each step of the optimiser: the follower follows. A method may add to it."""
        if self.needs.ema:
            self.follower.follow(self.network, self.followed_heads())

    def validation_step(self, batch: EvalBatch, batch_idx: int, dataloader_idx: int = 0) -> EvalOutputs:
        """Features of queries (loader 0) or gallery (loader 1)."""
        return self._eval_outputs(batch)

    def test_step(self, batch: EvalBatch, batch_idx: int, dataloader_idx: int = 0) -> EvalOutputs:
        """As `validation_step`."""
        return self._eval_outputs(batch)

    def predict_step(self, batch: EvalBatch, batch_idx: int, dataloader_idx: int = 0) -> EvalOutputs:
        """As `validation_step`."""
        return self._eval_outputs(batch)

    def _eval_outputs(self, batch: EvalBatch) -> EvalOutputs:
        features = self.embed(batch.images) if self.score_with is None else self.score_with(batch)
        return EvalOutputs(features=features, pid=batch.pid, camera=batch.camera, row=batch.row)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser over the two parameter groups, and its schedule per epoch."""
        groups: list[dict[str, Any]] = parameter_groups(self, self.network, self.lr, self.classifier_lr_factor)
        optimizer = self._make_optimizer(groups)
        schedule = build_schedule(optimizer, self._make_scheduler, self.warmup_epochs)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
