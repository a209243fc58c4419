from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from wsreid.cli import main
from wsreid.cli.suite import SuiteCLI


@pytest.fixture(scope="session")
def market_root(tmp_path_factory):
    """A folder laid out like Market-1501: 6 training and 4 test identities under 2 cameras, 2 distractors."""
    root = tmp_path_factory.mktemp("market")
    rng = np.random.default_rng(0)

    def write(folder, pid, camera, frame):
        path = root / folder / f"{pid:04d}_c{camera}s1_{frame:06d}_00.jpg"
        path.parent.mkdir(exist_ok=True)
        colours = np.random.default_rng(pid).integers(0, 256, (4, 2, 3)).astype(np.float64)
        noisy = cv2.resize(colours, (16, 32), interpolation=cv2.INTER_NEAREST) + rng.normal(0, 30, (32, 16, 3))
        assert cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))

    for camera in (1, 2):
        for pid in range(1, 7):
            for frame in (1, 2):
                write("bounding_box_train", pid, camera, frame)
        for pid in range(101, 105):
            write("query", pid, camera, 1)
            write("bounding_box_test", pid, camera, 2)
        write("bounding_box_test", 0, camera, camera)
    return root


@pytest.fixture
def run_cli(market_root: Path) -> Callable[..., SuiteCLI]:
    """Runs a command on the tiny data set with a tiny network."""

    def run(command: str, *args: str | Path, model: str = "BagCE") -> SuiteCLI:
        fixed = ["--model", model, "--model.backbone", "osnet_x0_25", "--data.root", market_root]
        fixed += [
            "--data.height",
            "32",
            "--data.width",
            "16",
            "--data.val_fraction",
            "0.34",
            "--data.bags_per_batch",
            "2",
        ]
        fixed += ["--trainer.accelerator", "cpu", "--trainer.enable_model_summary", "false"]
        fixed += ["--trainer.enable_progress_bar", "false"]
        return main([command, *map(str, fixed), *map(str, args)])

    return run
