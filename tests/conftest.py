"""Tiny data for every test: a rendered Market-like folder, and the folders of the other sources."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from tests.retrieval.pool import Pool
    from wsreid.export.of_run import Exported

os.environ.setdefault("MPLBACKEND", "Agg")

TINY_RENDERED = ["--data.rendered.train_ids", "10", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"]
EXPORTABLE_DATA = [
    *("--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"),
    *("--data.height", "32", "--data.width", "16", "--trainer.accelerator", "cpu", "--wandb.mode", "disabled"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false", "--pictures.queries", "0"),
]
EXPORTABLE = [
    *("--model", "BagCE", "--model.backbone", "test_resnet", "--model.pooling", "gem", "--model.flip_test", "true"),
    *("--data.bags_per_batch", "2", "--data.images_per_bag", "4"),
    *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", *EXPORTABLE_DATA),
]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSREID_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _no_service_for_children() -> Iterator[None]:
    """W&B leaves the address of its process to this one's children; one that took it over would log nowhere."""
    yield
    os.environ.pop("WANDB_SERVICE", None)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny tensors: more threads only cost time, and two of them would make timings of a shared machine worse."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Processes that talk over gloo, started once for all tests that need several."""
    from tests.retrieval.pool import Pool

    processes = Pool(tmp_path_factory.mktemp("gloo"))
    yield processes
    processes.close()


def write_image(path: Path, seed: int, height: int = 32, width: int = 16) -> None:
    """Writes a small random image; the suffix chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST))


@pytest.fixture(scope="session")
def pku_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out like the PKU-Reid subset: 42 identities x 2 cameras x 2 orientations."""
    root = tmp_path_factory.mktemp("pku")
    for pid in range(1, 43):
        for camera in (1, 2):
            for orientation in (1, 2):
                write_image(root / f"{pid:03d}" / f"{camera:02d}_{orientation}.png", seed=pid * 10 + orientation)
    return root


@pytest.fixture(scope="session")
def sysu_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out like the released SYSU-30k, unpacked: 6 training folders, 3 queries and matches."""
    root = tmp_path_factory.mktemp("sysu")
    train = root / "sysu_train_set_all"
    for folder in range(1, 7):
        for frame in range(5):
            write_image(train / f"{folder:010d}" / f"{frame:06d}.jpg", seed=folder * 100 + frame)
    test = root / "sysu_test_set_all"
    for pid in range(28311, 28314):
        write_image(test / "query" / f"{pid:09d}_c2_2.jpg", seed=pid)
        write_image(test / "gallery" / f"{pid:09d}_c1_1.jpg", seed=pid)
    for distractor in range(4):
        write_image(test / "gallery" / "0000others" / f"{distractor:06d}.jpg", seed=7000 + distractor)
    bags = []
    for folder in range(1, 7):
        for width in (1, 3, 5):
            labels = [min(max(folder + step, 1), 6) for step in range(-(width // 2), width // 2 + 1)]
            bags.append(
                {
                    "BagLabel": labels,
                    "BagID": f"bag{len(bags):010d}",
                    "BagImages": [f"{label:010d}/*" for label in labels],
                }
            )
    (root / "bag_level_label.json").write_text(json.dumps(bags))
    return root


@pytest.fixture(scope="session")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run to export."""
    from wsreid.cli import main

    run = tmp_path_factory.mktemp("exportable") / "run"
    main(["fit", *EXPORTABLE, "--run", str(run)])
    return run


@pytest.fixture(scope="session")
def export_as(exportable: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Exported]]:
    """The file of a format that the run was exported to, and what the command found; each is written once."""
    from wsreid.cli import main

    written: dict[str, tuple[Path, Exported]] = {}

    def export(kind: str) -> tuple[Path, Exported]:
        if kind not in written:
            out = tmp_path_factory.mktemp("exported") / f"model.{kind}"
            done = main(["export", str(exportable), "--format", kind, "--out", str(out), "--count", "5"])
            written[kind] = out, done.results[0]
        return written[kind]

    return export
