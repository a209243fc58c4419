"""CUHK03's MATLAB files in miniature, laid out in HDF5 as MATLAB 7.3 lays them out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

PAIRS = (3, 2)
"""Identities of each camera pair."""
TEST_SETS = ([(1, 1), (2, 2)], [(1, 2), (1, 3)])


def places(pair: int, number: int) -> tuple[int, ...]:
    """Cells that hold an image: an identity of ten, one of few, one that one camera alone has seen."""
    return {(1, 1): tuple(range(1, 11)), (1, 3): (1, 2)}.get((pair, number), (1, 3, 6, 7))


def image(pair: int, number: int, place: int, boxes: str) -> np.ndarray:
    """Of unequal sides and channels, so that no axis can be mistaken for another."""
    shape = (6 + pair, 3 + number, 3)
    return np.random.default_rng([pair, number, place, len(boxes)]).integers(0, 256, shape, dtype=np.uint8)


def names() -> list[str]:
    """All images, in the order of the new protocol's filelist."""
    return [
        f"{pair}_{number:03d}_{1 if place <= 5 else 2}_{place:02d}.png"
        for pair, count in enumerate(PAIRS, 1)
        for number in range(1, count + 1)
        for place in places(pair, number)
    ]


def write_mat(path: Path) -> None:
    """cuhk-03.mat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as mat:
        count = 0

        def stored(array: np.ndarray) -> h5py.Reference:
            nonlocal count
            count += 1
            data = mat.create_dataset(f"#refs#/{count}", data=array)
            return data.ref

        def cells(array: np.ndarray) -> np.ndarray:
            return np.asarray(array, dtype=h5py.ref_dtype)

        for boxes in ("labeled", "detected"):
            pairs = []
            for pair, identities in enumerate(PAIRS, 1):
                grid = np.empty((10, identities), dtype=object)
                for number in range(1, identities + 1):
                    for place in range(1, 11):
                        there = place in places(pair, number)
                        # MATLAB stores an empty cell as its size
                        content = image(pair, number, place, boxes).T if there else np.zeros(2, np.uint64)
                        grid[place - 1, number - 1] = stored(content)
                pairs.append(mat.create_dataset(f"#refs#/{boxes}{pair}", data=cells(grid)).ref)
            mat.create_dataset(boxes, data=cells([pairs]))
        sets = [stored(np.array(test, np.float64).T) for test in TEST_SETS]
        mat.create_dataset("testsets", data=cells([sets]))


def write_lists(root: Path, boxes: str = "labeled", **changes: object) -> None:
    """cuhk03_new_protocol_config_*.mat: identity 1 of each pair trains, the others are tested."""
    all_names = names()
    train = [i for i, name in enumerate(all_names, 1) if name[2:5] == "001"]
    query = [i for i, name in enumerate(all_names, 1) if name[2:5] != "001" and name[8:10] in ("01", "06")]
    gallery = [i for i in range(1, len(all_names) + 1) if i not in train + query]
    filelist = np.empty((len(all_names), 1), dtype=object)
    filelist[:, 0] = all_names
    content = {"filelist": filelist} | {
        f"{key}_idx": np.array(value, np.uint16)[:, None]
        for key, value in (("train", train), ("query", query), ("gallery", gallery))
    }
    root.mkdir(exist_ok=True)
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", content | changes)
