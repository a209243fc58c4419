"""CUHK03 (Li, Zhao, Xiao, Wang, "DeepReID: Deep Filter Pairing Neural Network ...", CVPR 2014)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple

from wsreid.data.cache import build_once, cache_dir
from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.compared import compared
from wsreid.data.sources.cuhk03_mat import CELLS, Boxes, extract_images, read_new_protocol, read_test_sets
from wsreid.data.sources.scan import Found, scan
from wsreid.errors import ConfigError, DataError

Protocol = Literal["classic", "new"]
CLASSIC_SPLITS: Final = 20

_NAME: Final = re.compile(r"(?P<pair>\d)_(?P<number>\d{3})_(?P<view>[12])_(?P<place>\d{2})\.[A-Za-z]+", re.ASCII)
_RELEASE: Final = "cuhk03_release"
_MAT: Final = "cuhk-03.mat"
_PAIR: Final = 1000
"""Identity 7 of camera pair 2 is 2007: the pairs number their identities apart."""


class _Image(NamedTuple):
    found: Found
    pair: int
    number: int
    view: int

    def entry(self, split: Split) -> ImageEntry:
        camera = 2 * (self.pair - 1) + self.view
        return ImageEntry(split, camera, -1, -1, self.found.file, _PAIR * self.pair + self.number, self.found.size)


class CUHK03(Source):
    """CUHK03, from cuhk-03.mat or from the folders images_labeled and images_detected extracted from it.

    Names are read as `1_001_2_06.png`: camera pair, identity in it, view, image. Identity 1 of pair 1 is 1001, and
    the ten cameras are numbered 1 to 10, two a pair; an identity was seen by one pair alone, so the junk rule is that
    of the two views. The images have no time: they cannot be cut into windows.

    The images of cuhk-03.mat are extracted once, into the cache folder: the root is not written to.

    Args:
        boxes: Drawn by hand, or found by a detector.
        protocol: `new` = 767 identities to train on and 700 to test, with the lists of Zhong et al.; `classic` = 1,367
            and 100, where all test images are queries and gallery both, for the retrieval protocol cuhk03_classic.
        split: Which of the classic protocol's 20 splits.
    """

    name: ClassVar[str] = "cuhk03"
    where: ClassVar[str] = (
        "It must be the folder with cuhk-03.mat (or with cuhk03_release/cuhk-03.mat), or with the folders "
        "images_labeled and images_detected extracted from it; its authors offer it at "
        "www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html. The new protocol also needs its two lists "
        "cuhk03_new_protocol_config_labeled.mat and _detected.mat there, from github.com/zhunzhong07/person-re-ranking."
    )

    def __init__(self, boxes: Boxes = "labelled", protocol: Protocol = "new", split: int = 0) -> None:
        if boxes not in CELLS:
            raise ConfigError(f"cuhk03: boxes={boxes!r}, expected labelled or detected.")
        if protocol not in ("classic", "new"):
            raise ConfigError(f"cuhk03: protocol={protocol!r}, expected classic or new.")
        if protocol == "new" and split:
            raise ConfigError(f"cuhk03: split={split}: the new protocol has one split. Leave it out.")
        if not 0 <= split < CLASSIC_SPLITS:
            raise ConfigError(f"cuhk03: split={split}, expected 0 to {CLASSIC_SPLITS - 1}.")
        self.boxes: Boxes = boxes
        self.protocol: Protocol = protocol
        self.split = split

    @property
    def variant(self) -> str:
        """The published sizes that these options go with."""
        return "classic" if self.protocol == "classic" else f"new, {self.boxes}"

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"boxes": self.boxes, "protocol": self.protocol, "split": self.split}

    def watched(self, root: Path) -> Iterable[Path]:
        """The folder of images if it is there, and the MATLAB files that are read."""
        files = [self._lists(root) if self.protocol == "new" else self._mat(root)]
        folder = self._extracted(root)
        return {*files, self._mat(root) if folder is None else folder}

    def image_root(self, root: Path) -> Path:
        """The folder that the images' paths are relative to: the root, or the cache folder of extracted images.

        Raises:
            DataError: There are neither extracted images nor cuhk-03.mat.
        """
        if self._extracted(root) is not None:
            return root
        mat = self._mat(root)
        status = mat.stat()
        key = hashlib.sha256(f"{mat.resolve()}\n{status.st_size}\n{status.st_mtime_ns}".encode()).hexdigest()[:16]
        return cache_dir() / "cuhk03" / key

    def index(self, root: Path) -> ImageRecords:
        """Lists the images, which are extracted first if need be; see `Source.index`. Paths: see `image_root`."""
        self.require_root(root)
        # The lists are asked for first: they are quickly read, and extracting takes minutes.
        lists = read_new_protocol(self._lists(root)) if self.protocol == "new" else None
        test = None if lists is not None else self._test_set(self._mat(root))
        place = self.image_root(root)
        folder = place / self._folder
        if not folder.is_dir():
            build_once(folder, partial(extract_images, self._mat(root), self.boxes))
        builder = RecordsBuilder(self.name)
        images = _images(folder, place, builder)
        if lists is not None:
            listed = {Split.TRAIN: lists.train, Split.QUERY: lists.query, Split.GALLERY: lists.gallery}
            parts = {split: _picked(images, names, split, builder) for split, names in listed.items()}
            if left_out := len(images) - len({image for part in parts.values() for image in part}):
                builder.note(f"{left_out} images stand in none of the new protocol's lists and are left out")
        else:
            assert test is not None
            tested = [image for image in images.values() if (image.pair, image.number) in test]
            trained = [image for image in images.values() if (image.pair, image.number) not in test]
            parts = {Split.TRAIN: trained, Split.QUERY: tested, Split.GALLERY: tested}
            builder.note("classic protocol: the test images are queries and gallery both")
        for split, part in parts.items():
            builder.add(sorted(image.entry(split) for image in part))
            builder.require_images(split, place, self._folder)
        return compared(builder.records(), self.name, variant=self.variant)

    @property
    def _folder(self) -> str:
        return f"images_{CELLS[self.boxes]}"

    def _extracted(self, root: Path) -> Path | None:
        folder = root / self._folder
        return folder if folder.is_dir() else None

    def _mat(self, root: Path) -> Path:
        return self._file(root, _MAT)

    def _lists(self, root: Path) -> Path:
        return self._file(root, f"cuhk03_new_protocol_config_{CELLS[self.boxes]}.mat")

    def _file(self, root: Path, name: str) -> Path:
        self.require_root(root)
        for path in (root / name, root / _RELEASE / name):
            if path.is_file():
                return path
        near = [path for path in (*sorted(root.glob(f"*/{name}")), root.parent / name) if path.is_file()]
        hint = f" Did you mean {near[0].parent}?" if near else ""
        raise DataError(f"cuhk03: {root} has no file {name!r}.{hint} {self.where}")

    def _test_set(self, mat: Path) -> frozenset[tuple[int, int]]:
        splits = read_test_sets(mat)
        if self.split >= len(splits):
            raise DataError(f"cuhk03: {mat} holds {len(splits)} test sets, so there is no split {self.split}.")
        return splits[self.split]


def _images(folder: Path, place: Path, builder: RecordsBuilder) -> dict[str, _Image]:
    """The images by name without ending, sorted."""
    found, problems = scan(folder, place)
    builder.problems(problems)
    images: dict[str, _Image] = {}
    for image in found:
        match = _NAME.fullmatch(image.name)
        stem = image.name.rpartition(".")[0]
        if match is None:
            builder.problem(image.file, "has a name that does not parse: expected one like 1_001_2_06.png")
        elif stem in images:
            builder.problem(image.file, f"is there a second time: {images[stem].found.file} is used")
        else:
            images[stem] = _Image(image, int(match["pair"]), int(match["number"]), int(match["view"]))
    return images


def _picked(images: dict[str, _Image], names: Iterable[str], split: Split, builder: RecordsBuilder) -> list[_Image]:
    """The images that a list names; those that are not there are noted."""
    stems = [name.rpartition(".")[0] for name in names]
    missing = [stem for stem in stems if stem not in images]
    if missing:
        builder.note(
            f"{split.name.lower()}: {len(missing)} of {len(stems)} listed images are not there (first: {missing[0]})"
        )
    return [images[stem] for stem in stems if stem in images]
