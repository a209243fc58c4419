"""A tiny data set in Market-1501's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import write_image
from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.sources import Market1501

TRAIN_IDS, TEST_IDS, CAMERAS, FRAMES = 12, 4, 2, 3


@pytest.fixture(scope="session")
def market_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 training identities x 2 cameras x 3 frames; 4 test identities, one query each, 3 distractors."""
    root = tmp_path_factory.mktemp("market")
    make_market(root)
    return root


@pytest.fixture
def own_market_root(tmp_path: Path) -> Path:
    """The same, to be damaged."""
    root = tmp_path / "market"
    make_market(root)
    return root


@pytest.fixture(scope="session")
def market(market_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    path = tmp_path_factory.mktemp("manifest") / "manifest.arrow"
    write_manifest(path, Market1501().index(market_root), source="market1501", root=market_root)
    return Manifest.open(path)


def make_market(root: Path) -> None:
    for pid in range(1, TRAIN_IDS + 1):
        for camera in range(1, CAMERAS + 1):
            for frame in range(FRAMES):
                name = f"{pid:04d}_c{camera}s1_{frame * 25 + pid:06d}_00.jpg"
                write_image(root / "bounding_box_train" / name, seed=pid * 100 + camera * 10 + frame)
    for pid in range(101, 101 + TEST_IDS):
        write_image(root / "query" / f"{pid:04d}_c1s1_000001_00.jpg", seed=pid)
        for camera in (1, 2):
            write_image(root / "bounding_box_test" / f"{pid:04d}_c{camera}s1_000009_00.jpg", seed=pid + camera)
    for frame in range(3):
        write_image(root / "bounding_box_test" / f"0000_c1s1_{frame:06d}_00.jpg", seed=900 + frame)
