"""The MATLAB files of CUHK03: images and test sets in cuhk-03.mat, the lists of the new protocol in a file each.

cuhk-03.mat is MATLAB 7.3, which is HDF5: cells are references, and each array is stored with its axes reversed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from wsreid.errors import DataError

_log = logging.getLogger(__name__)

Boxes = Literal["labelled", "detected"]
CELLS: Final[dict[Boxes, str]] = {"labelled": "labeled", "detected": "detected"}
"""How the set's own files spell the two kinds of boxes."""

_PER_VIEW: Final = 5
"""Of an identity's ten cells, the first five are of one camera, the others of the other."""


@dataclass(frozen=True)
class NewProtocol:
    """The lists of the new protocol (Zhong et al., CVPR 2017) for one kind of boxes.

    Attributes:
        train: Names of the training images, in the file's order.
        query: Names of the queries.
        gallery: Names of the gallery images.
    """

    train: tuple[str, ...]
    query: tuple[str, ...]
    gallery: tuple[str, ...]


def read_new_protocol(path: Path) -> NewProtocol:
    """Reads cuhk03_new_protocol_config_labeled.mat or its twin of detected boxes.

    Args:
        path: The file.

    Returns:
        Its three lists.

    Raises:
        DataError: It is damaged, or another file.
    """
    from scipy.io import loadmat  # here, because it takes time to load and nothing else needs it

    try:
        content = loadmat(path, variable_names=["filelist", "train_idx", "query_idx", "gallery_idx"])
        names = [str(np.asarray(cell).item()) for cell in content["filelist"].ravel()]
        lists = {key: content[f"{key}_idx"].ravel().astype(np.int64) - 1 for key in ("train", "query", "gallery")}
    except OSError as error:
        raise DataError(f"cuhk03: {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the reader raises whatever a damaged file makes it stumble over
        raise DataError(
            f"cuhk03: {path} is no list of the new protocol, or a damaged one ({type(error).__name__}: {error}). "
            f"Download it again."
        ) from error
    for key, places in lists.items():
        if not len(places) or places.min() < 0 or places.max() >= len(names):
            raise DataError(f"cuhk03: {path}: {key}_idx names images that filelist does not have. Download it again.")
    return NewProtocol(**{key: tuple(names[place] for place in places.tolist()) for key, places in lists.items()})


def read_test_sets(path: Path) -> list[frozenset[tuple[int, int]]]:
    """Reads the test sets of the classic protocol.

    Args:
        path: cuhk-03.mat.

    Returns:
        For each split the test identities: camera pair and number in it, both from 1.

    Raises:
        DataError: The file is damaged or another one, or h5py is missing.
    """
    with _opened(path) as mat:
        found: list[frozenset[tuple[int, int]]] = []
        for reference in mat["testsets"][0]:
            pairs: NDArray[np.int64] = mat[reference][()].T.astype(np.int64)  # (2, 100) -> (100, 2)
            found.append(frozenset((int(pair), int(number)) for pair, number in pairs))
    return found


def extract_images(path: Path, boxes: Boxes, folder: Path) -> None:
    """Writes the images of cuhk-03.mat as PNG files, which lose nothing.

    They are called as those who extract them usually call them: `1_001_2_06.png` is image 6 of identity 1 in camera
    pair 1, seen by the second camera of the pair; images 1 to 5 are the first camera's.

    Args:
        path: cuhk-03.mat.
        boxes: Drawn by hand, or found by a detector.
        folder: Where the images go; it is made.

    Raises:
        DataError: The file is damaged or another one, or h5py is missing.
    """
    _log.info("cuhk03: extracting the %s images of %s, once", boxes, path)
    folder.mkdir()
    count = 0
    with _opened(path) as mat:
        for pair, pair_reference in enumerate(mat[CELLS[boxes]][0], 1):
            cells = mat[pair_reference][()].T  # (10, M) -> (M, 10)
            for number, identity in enumerate(cells, 1):
                for place, reference in enumerate(identity, 1):
                    image = mat[reference][()].T  # (3, W, H) -> (H, W, 3); an empty cell has another shape
                    if image.ndim != 3 or not image.size:
                        continue
                    name = f"{pair}_{number:03d}_{1 if place <= _PER_VIEW else 2}_{place:02d}.png"
                    _write(folder / name, np.ascontiguousarray(image, np.uint8))
                    count += 1
    _log.info("cuhk03: %d images extracted", count)


def _write(path: Path, rgb: NDArray[np.uint8]) -> None:
    try:
        if cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
            return
    except cv2.error as error:
        raise ValueError(f"an image of shape {rgb.shape} ({error.err})") from error
    raise DataError(f"cuhk03: {path} cannot be written: is the disk full?")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:  # h5py's own objects: it has no types
    try:
        import h5py  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise DataError(
            f"cuhk03: {path} is read with h5py, which is not installed: pip install h5py. Without it, the new protocol "
            f"can be read from the extracted folders images_labeled and images_detected."
        ) from error
    try:
        with h5py.File(path, "r") as mat:
            yield mat
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"cuhk03: {path} is no cuhk-03.mat, or a damaged one ({type(error).__name__}: {error}). Download it again."
        ) from error
