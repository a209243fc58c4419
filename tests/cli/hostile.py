"""Files that run code where they are unpickled."""

from pathlib import Path

import numpy as np
import torch


class Bomb:
    """Makes a file when it is unpickled.

    Args:
        sentinel: The file.
    """

    def __init__(self, sentinel):
        self.sentinel = Path(sentinel)

    def __reduce__(self):
        return open, (str(self.sentinel), "w")


def write_checkpoint(path, sentinel):
    """A checkpoint that looks like one of a run, and holds a bomb besides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"hyper_parameters": {"num_ids": 4}, "state_dict": {}, "bomb": Bomb(sentinel)}, path)


def write_npz(path, sentinel, **arrays):
    """An npz file one of whose arrays is a pickled bomb."""
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb(sentinel)
    names = arrays or {"features": None}
    np.savez(path, allow_pickle=True, **{name: bomb if value is None else value for name, value in names.items()})


def goes_off(path, sentinel, read):
    """Whether the bomb in a file works: what `read`, an unsafe reader, does with it."""
    read(path)
    found = sentinel.exists()
    sentinel.unlink(missing_ok=True)
    return found


def unpickle(path):
    """Reads a checkpoint as nobody should."""
    torch.load(path, weights_only=False)


def unpickle_npz(path):
    """Reads an npz file as nobody should."""
    with np.load(path, allow_pickle=True) as file:
        for name in file.files:
            file[name]
