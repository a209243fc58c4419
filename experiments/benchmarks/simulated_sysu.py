"""A manifest and bags of SYSU-30k's size and shape, without its images: what benchmarks of scale read."""

import io
import json
import tarfile
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from wsreid.data.records import ImageRecords, Split

ROWS: Final = 29_606_918
FOLDERS, QUERIES, GALLERY, DISTRACTORS = 28_310, 1_000, 479_730, 478_730
TARS: Final = 10
LARGEST: Final = 10_000  # images of a folder
IMAGES: Final = 64  # real JPEG files in each tar, at which all of its rows point
_MODE, _MEAN = 500.0, (ROWS - QUERIES - GALLERY) / FOLDERS

MANIFEST: Final = "manifest.arrow"
BAGS: Final = "bags.arrow"
LABELS: Final = "bag_level_label.json"


def folder_sizes(folders: int, images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Images of each training folder, `(F,)`: log-normal, most often 400 to 600, at most 10,000, `images` in all."""
    spread = np.log(_MEAN / _MODE) / 1.5  # variance at which mode and mean are those of the data set
    drawn = rng.lognormal(np.log(_MODE) + spread, np.sqrt(spread), folders)
    sizes: NDArray[np.int64] = np.clip(np.round(drawn * images / drawn.sum()).astype(np.int64), 1, LARGEST)
    while lacking := images - int(sizes.sum()):
        movable = np.flatnonzero((sizes < LARGEST) if lacking > 0 else (sizes > 1))
        sizes[rng.permutation(movable)[: abs(lacking)]] += np.sign(lacking)
    return sizes


def simulated_records(rows: int, root: Path) -> ImageRecords:
    """The rows of a set of SYSU-30k's shape, after writing its tars (of a few small images) and its bag labels.

    Args:
        rows: Images in all; folders, queries and gallery shrink with them.
        root: An empty folder to write the tars and the label file to.
    """
    rng = np.random.default_rng(0)
    share = rows / ROWS
    folders, queries = (max(round(n * share), least) for n, least in ((FOLDERS, 3), (QUERIES, 2)))
    gallery = max(round(GALLERY * share), 2 * queries)
    train = rows - queries - gallery
    sizes = folder_sizes(folders, train, rng)
    number = np.arange(1, folders + 1)
    (root / LABELS).write_text(json.dumps(_bag_labels(folders)))
    part = (number - 1) * TARS // folders  # (F,): the tar of each folder
    files = [f"sysu_train_set_all_part{i + 1}.tar" for i in range(TARS)] + ["sysu_test_set_all.tar"]
    places = np.stack([_write_tar(root / file, rng) for file in files])  # (tars, images, 2): offset, size
    index = np.append(np.repeat(part, sizes), np.full(queries + gallery, TARS)).astype(np.int32)
    image = np.arange(rows) % IMAGES
    people = folders + 1 + np.arange(queries)
    return ImageRecords(
        file=files,
        file_index=index,
        offset=places[index, image, 0],
        size=places[index, image, 1],
        camera=np.repeat([-1, 2, 1, -1], [train, queries, queries, gallery - queries]).astype(np.int32),
        sequence=np.append(np.repeat(number, sizes), np.full(queries + gallery, -1)).astype(np.int32),
        frame=np.full(rows, -1, np.int64),
        split=np.repeat(np.array(list(Split), np.int8), [train, queries, gallery]),
        pid=np.concatenate([np.full(train, -1), people, people, np.zeros(gallery - queries, int)]).astype(np.int32),
        identities=number,
        notes=("simulated",),
    )


def _bag_labels(folders: int) -> list[dict[str, object]]:
    """Three bags around each folder, as SYSU-30k releases them: at the ends, a folder is listed several times."""
    bags: list[dict[str, object]] = []
    for centre in range(1, folders + 1):
        for half in (0, 1, 2):
            near = [min(max(centre + step, 1), folders) for step in range(-half, half + 1)]
            images = [f"{folder:010d}/*" for folder in near]
            bags.append({"BagLabel": near, "BagID": f"bag{len(bags):010d}", "BagImages": images})
    return bags


def _write_tar(path: Path, rng: np.random.Generator) -> NDArray[np.int64]:
    """Writes a tar of small JPEG files; gives the offset and size of each, `(images, 2)`."""
    with tarfile.open(path, "w") as tar:
        for i in range(IMAGES):
            _, data = cv2.imencode(".jpg", rng.integers(0, 256, (128, 64, 3), dtype=np.uint8))
            member = tarfile.TarInfo(f"{path.stem}/{i:06d}.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data.tobytes()))
    with tarfile.open(path) as tar:
        return np.array([(member.offset_data, member.size) for member in tar], np.int64)
