"""`BagDataModule`: everything that a run needs to know about its data."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.batch import BagBatch, EvalBatch
from wsreid.data.checks import (
    check_archives,
    check_content,
    check_held_out,
    check_matches,
    check_not_empty,
    check_problems,
    check_root,
)
from wsreid.data.dataset import BagDataset, EvalDataset
from wsreid.data.fit_notes import log_before_fit
from wsreid.data.images import read_image
from wsreid.data.loader import batch_loader
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split
from wsreid.data.needs import Needs
from wsreid.data.preparation import bag_label_file, prepared_bags, prepared_manifest, rows_to_train_on, sampled_rows
from wsreid.data.rendered import RenderSettings, rendered_root
from wsreid.data.resumable_loader import ResumableLoader
from wsreid.data.samplers import BagSampler, BatchPlan, CameraSampler, EvalSampler, IdentitySampler, WholeBagSampler
from wsreid.data.skipped import SkippedImages
from wsreid.data.sources import Market1501, Source
from wsreid.data.splits import query_and_gallery, split_identities
from wsreid.data.training_draw import Draw, TrainingDraw
from wsreid.data.transforms import AugmentSettings, EvalTransform, TrainTransform
from wsreid.errors import ConfigError, DataError

_Batch = TypeVar("_Batch", BagBatch, EvalBatch)
_RENDERED: Final = RenderSettings()
_BAGS: Final = BagSettings()
_AUGMENT: Final = AugmentSettings()


class BagDataModule(pl.LightningDataModule):
    """A bag-labelled data set, from its files to batches.

    Manifest and bags are made when first needed, under a file lock, and kept in the user's cache folder; nothing is
    ever written into `root`. The classes are all training identities, those held out for validation included, so a
    class index means the same whatever `val_fraction` is.

    Args:
        source: The data set's layout: Market1501, SYSU30k, Folder, PKUReID. None: Market1501, as the rendered set is.
        root: The data set's folder. None: the rendered pedestrians of `rendered`, which are made first.
        rendered: The rendered set, where there is no root.
        manifest: A prepared manifest, instead of `source`; `root` then says where its images are now.
        bags: How the training images are put into bags.
        bag_file: A prepared bag file, instead of `bags`.
        redraw_bags: Draw new bags for each epoch, as the official code of the graph model does. It leaks the
            identities: over a few epochs the bags' labels alone give them away. For the protocol random only.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        augment: Augmentation of the training images.
        bags_per_batch: Bags in a training batch.
        images_per_bag: Most images of a bag in a batch; larger bags are sampled anew in each epoch.
        draw: `folders` draws a bag's images evenly from its folders, as the official code of SYSU-30k does. It uses
            more than the bags' labels: the folder of each image. For the protocol sysu only.
        ids_per_batch: Identities in a batch of an oracle that draws by identity.
        images_per_id: Images of each identity in such a batch.
        eval_batch_size: Images in a batch when scoring.
        val_fraction: Share of the training identities that is taken out of training for validation; 0 = no
            validation. A data set without image-level truth has none either.
        num_workers: Processes that load images, for each loader; 0 = the main process.
        seed: Seed of batches and augmentation; None = that of the run (`seed_everything`). The bags and the validation
            split go by `bags.seed`, so that runs with other seeds learn from the same images and bags.
        max_corrupt: Unusable files to leave out before it is an error, when indexing and again in mid-run.

    Raises:
        ConfigError: Options that cannot work together.
    """

    def __init__(
        self,
        source: Source | None = None,
        root: Path | None = None,
        rendered: RenderSettings = _RENDERED,
        manifest: Path | None = None,
        bags: BagSettings = _BAGS,
        bag_file: Path | None = None,
        redraw_bags: bool = False,
        height: int = 256,
        width: int = 128,
        augment: AugmentSettings = _AUGMENT,
        bags_per_batch: int = 8,
        images_per_bag: int = 8,
        draw: Draw = "bags",
        ids_per_batch: int = 16,
        images_per_id: int = 4,
        eval_batch_size: int = 128,
        val_fraction: float = 0.1,
        num_workers: int = 0,
        seed: int | None = None,
        max_corrupt: int = 0,
    ) -> None:
        super().__init__()
        from_0 = {"num_workers": num_workers, "seed": seed or 0, "max_corrupt": max_corrupt}
        from_1 = {"height": height, "width": width, "eval_batch_size": eval_batch_size}
        for name, value in (from_0 | from_1).items():
            if value < (least := int(name in from_1)):
                raise ConfigError(f"data.{name} must be at least {least}, got {value}")
        if not 0.0 <= val_fraction < 1.0:
            raise ConfigError(f"data.val_fraction must be at least 0 and below 1, got {val_fraction}")
        source = Market1501() if source is None else source
        if root is None and manifest is None and source.name != Market1501.name:
            raise ConfigError(f"data.source {source.name} needs data.root, the folder of the data set")
        if redraw_bags and (bags.protocol != "random" or bag_file is not None):
            raise ConfigError("data.redraw_bags draws bags of data.bags.protocol random: it takes no other, nor a file")
        if draw == "folders" and bag_file is None and bags.protocol != "sysu":
            raise ConfigError(f"data.draw folders draws bags of data.bags.protocol sysu, not of {bags.protocol}")
        self.source = source
        self.root = root
        self.rendered = rendered
        self.manifest_file = manifest
        self.bag_settings = bags
        self.bag_file = bag_file
        self.redraw_bags = redraw_bags
        self.height, self.width = height, width
        self.augment = augment
        self.training_draw = TrainingDraw(bags_per_batch, images_per_bag, ids_per_batch, images_per_id, draw)
        self.eval_batch_size = eval_batch_size
        self.val_fraction = val_fraction
        self.num_workers = num_workers
        self._seed = seed
        self.run_seed = 0
        self.max_corrupt = max_corrupt
        self.needs = Needs()
        self.predicted: NDArray[np.int64] = np.empty(0, np.int64)  # rows that `predict` has finished before
        self._skipped = SkippedImages(max_corrupt)
        self._checked: set[bool] = set()

    @property
    def seed(self) -> int:
        """Seed of batches and augmentation: the option `seed`, else `run_seed`, which the command line sets."""
        return self.run_seed if self._seed is None else self._seed

    # What the data is

    @cached_property
    def manifest(self) -> Manifest:
        """The images; indexed, and before that rendered, if that has not been done yet."""
        if self.manifest_file is not None:
            return Manifest.open(self.manifest_file, self.root)
        root = rendered_root(self.rendered) if self.root is None else self.root
        return prepared_manifest(self.source, root, self.name)

    @cached_property
    def bags(self) -> Bags:
        """The training bags; made if that has not been done yet."""
        if self.bag_file is not None:
            bags = Bags.open(self.bag_file)
        else:
            labels = bag_label_file(self.manifest, self.source, self.bag_settings)
            bags = prepared_bags(self.manifest, self.bag_settings, self.val_rows, labels)
        bags.check()
        bags.check_against(self.manifest)
        val_classes = self.manifest.class_index(np.unique(self.manifest.pid[self.val_rows]))
        check_held_out(self.manifest, bags, self.val_rows, val_classes)
        return bags

    @property
    def name(self) -> str:  # type: ignore[override]  # lightning has a plain attribute of this name
        """Name of the data set: `synthetic` where it is rendered, else the source's."""
        if self.manifest_file is not None:
            return self.manifest.source
        return "synthetic" if self.root is None else self.source.name

    @property
    def num_ids(self) -> int:
        """Number of classes, C: all training identities. Prepares manifest and bags if that has not been done yet."""
        self.prepare_data()
        return len(self.manifest.identities)

    @property
    def has_truth(self) -> bool:
        """Whether the identity of any training image is known."""
        return self.manifest.has_truth

    @property
    def hashes(self) -> dict[str, str]:
        """Content hashes of manifest (`data`) and bags (`bags`, marked where each epoch draws its own)."""
        return {"data": self.manifest.hash, "bags": f"{'redrawn-' if self.redraw_bags else ''}{self.bags.hash}"}

    @property
    def train_rows(self) -> NDArray[np.int64]:
        """Manifest rows to train on, ascending, `(N,)`."""
        return rows_to_train_on(self.manifest, self.val_rows)

    @cached_property
    def val_rows(self) -> NDArray[np.int64]:
        """Manifest rows of the identities held out for validation, ascending; empty where there is no validation."""
        if self.val_fraction == 0 or not self.has_truth:
            return np.empty(0, np.int64)
        _, held = split_identities(self.manifest.identities, self.val_fraction, self.bag_settings.seed)
        rows = self.manifest.rows(Split.TRAIN)
        return rows[np.isin(self.manifest.pid[rows], held)]

    @cached_property
    def val_query_gallery(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Manifest rows of the validation's queries and gallery."""
        rows = self.val_rows
        return query_and_gallery(rows, self.manifest.pid[rows], self.manifest.camera[rows], self.bag_settings.seed)

    def describe_row(self, row: int) -> str:
        """What to call an image in a message: its file, relative to the root."""
        file, offset = self.manifest.file(row), int(self.manifest.offset[row])
        return file if offset < 0 else f"{file} (at byte {offset})"

    def image(self, row: int) -> NDArray[np.uint8]:
        """Reads an image for a picture, RGB, `(H, W, 3)` uint8.

        Raises:
            UnreadableImage: It cannot be read.
        """
        return read_image(self.manifest.location(row))

    # Before training

    def use(self, needs: Needs) -> None:
        """Takes what the method declares that it needs; to be called before loaders are made.

        Raises:
            ConfigError: The data cannot give it.
        """
        if needs.shared_label_pairs:
            self.training_draw.check_pairs(self.redraw_bags)
        if needs.member_table and self.redraw_bags:
            raise ConfigError(
                "data.redraw_bags: the method remembers labels by bag and image, and bags are drawn anew: the labels "
                "of one epoch would be read as those of other images in the next"
            )
        self.needs = needs

    def prepare_data(self) -> None:
        """Makes manifest and bags if there are none yet."""
        if len(self.manifest.row_range(Split.TRAIN)):
            _ = self.bags

    def setup(self, stage: str) -> None:
        """Verifies the data before the first batch; see `check`."""
        self.check(fit=stage == "fit")

    def check(self, fit: bool = True) -> None:
        """Verifies all that can be known before training; the second call does nothing.

        Args:
            fit: Training and validation data too, not only the test split.

        Raises:
            DataError: A split is empty, too many files are unusable, no query has a match, a bag's label is not among
                the classes, or the method needs a truth that the data set does not have.
        """
        if self._checked & {fit, True}:  # the check for training includes the other
            return
        check_root(self.manifest)
        check_content(self.manifest)
        check_archives(self.manifest)
        check_problems(self.manifest, self.max_corrupt)
        check_not_empty(self.manifest, tuple(Split) if fit else (Split.QUERY, Split.GALLERY))
        query, gallery = self.test_rows
        check_matches(self.manifest, query, gallery, "test")
        if fit:
            _ = self.bags
            self._check_truth()
            if len(self.val_rows):
                check_matches(self.manifest, *self.val_query_gallery, "val")
            log_before_fit(self.name, self.redraw_bags, self.val_fraction, self.has_truth)
        self._checked.add(fit)

    def _check_truth(self) -> None:
        if self.needs.truth and not self.has_truth:
            raise DataError(
                f"the method reads the identity of each training image, but {self.name} has no image-level truth. "
                f"Choose a weakly supervised method."
            )

    # Loaders

    def train_dataloader(self) -> ResumableLoader:
        """Training batches: by bag, or by identity where an oracle needs that."""
        transform = TrainTransform(self.height, self.width, self.augment)
        dataset = BagDataset(self.manifest, transform, views=self.needs.views, seed=self.seed)
        return ResumableLoader(
            dataset,
            self._train_sampler(),
            drawn_with=self._drawn_with,
            trained=None if self.trainer is None else self._trained,
            workers=self.num_workers,
            pin_memory=self._on_gpu,
        )

    def val_dataloader(self) -> list[DataLoader[EvalBatch]]:
        """Queries and gallery of the held-out identities; no loader where there is no validation."""
        if not len(self.val_rows):
            return []
        return [self._eval_loader(rows, persistent=True) for rows in self.val_query_gallery]

    def test_dataloader(self) -> list[DataLoader[EvalBatch]]:
        """Queries and gallery of the test split."""
        return [self._eval_loader(rows) for rows in self.test_rows]

    def predict_dataloader(self) -> list[DataLoader[EvalBatch]]:
        """As for testing, without the rows of `predicted`."""
        return [self._eval_loader(np.setdiff1d(rows, self.predicted, assume_unique=True)) for rows in self.test_rows]

    def refine_dataloader(self) -> DataLoader[BagBatch]:
        """Whole training bags without augmentation, each member once; bags larger than a batch come in chunks."""
        dataset = BagDataset(self.manifest, EvalTransform(self.height, self.width))
        rank, world_size = self._rank
        return self._loader(dataset, WholeBagSampler(self.bags, self.eval_batch_size, rank, world_size))

    def epoch_pass_dataloader(self, limit: int | None, epoch: int) -> DataLoader[EvalBatch]:
        """Training images without augmentation, each once; with a limit, a sample of an epoch by the run's seed."""
        return self._eval_loader(sampled_rows(self.train_rows, limit, self.seed, epoch))

    def camera_dataloader(self, split: str, limit: int | None) -> DataLoader[EvalBatch]:
        """Queries and gallery of "val" or "test" in batches of one camera, at most `limit` images of each camera."""
        rows = np.concatenate(self.val_query_gallery if split == "val" else self.test_rows)
        sampler = CameraSampler(rows, self.manifest.camera[rows], self.eval_batch_size, limit, self.seed, *self._rank)
        return self._eval_loader(rows, sampler=sampler)

    def on_before_batch_transfer(self, batch: _Batch, dataloader_idx: int) -> _Batch:
        """Counts the images that the batch had to leave out.

        Raises:
            DataError: There are now more than `max_corrupt`.
        """
        if isinstance(batch, (BagBatch, EvalBatch)) and len(batch.skipped):
            self._skipped.add(batch.skipped.tolist(), self.manifest)
        return batch

    def teardown(self, stage: str) -> None:
        """Names the images that were left out, in one warning."""
        self._skipped.warn()

    @property
    def test_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Manifest rows of the test split's queries and gallery."""
        return self.manifest.rows(Split.QUERY), self.manifest.rows(Split.GALLERY)

    @property
    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _train_sampler(self) -> BagSampler | IdentitySampler:
        ranks = self._rank
        draw, redraw = self.training_draw, self._redrawn if self.redraw_bags else None
        by_bag = draw.by_bag(self.manifest, self.bags, self.seed, *ranks, redraw, self.needs.shared_label_pairs)
        if not self.needs.identity_batches:
            return by_bag
        return draw.by_identity(self.manifest, self.train_rows, by_bag.images_per_epoch, self.seed, *ranks)

    @property
    def _drawn_with(self) -> dict[str, int | str]:
        """What the plan of an epoch depends on, as the user knows it."""
        run = {"data.seed": self.seed, "number of processes": self._rank[1]}
        files = {"hash of the manifest": self.hashes["data"], "hash of the bags": self.hashes["bags"]}
        described = self.training_draw.described(self.needs.identity_batches, self.needs.shared_label_pairs)
        return {**described, **run, **files}

    def _trained(self) -> int:
        """Batches of the epoch whose step is done."""
        assert self.trainer is not None
        now = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return int(now.processed)  # type: ignore[attr-defined]  # lightning types it by its base class

    def _redrawn(self, epoch: int) -> Bags:
        return make_bags(self.manifest, self.bag_settings, self.train_rows, epoch=epoch)

    def _eval_loader(
        self, rows: NDArray[np.int64], persistent: bool = False, sampler: CameraSampler | None = None
    ) -> DataLoader[EvalBatch]:
        dataset = EvalDataset(self.manifest, EvalTransform(self.height, self.width))
        return self._loader(dataset, sampler or EvalSampler(rows, self.eval_batch_size, *self._rank), persistent)

    def _loader(
        self,
        dataset: Dataset[_Batch],
        sampler: Sampler[BatchPlan] | Sampler[NDArray[np.int64]],
        persistent: bool = False,
    ) -> DataLoader[_Batch]:
        return batch_loader(dataset, sampler, workers=self.num_workers, persistent=persistent, pin_memory=self._on_gpu)
