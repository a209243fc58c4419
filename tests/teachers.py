"""A teacher for `Distill`: the smallest network, as a run would have saved it, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wsreid.methods import Distill
from wsreid.models import build_network

SIZE = (32, 16)  # the smallest images that the network takes


def write_teacher(path: Path, seed: int = 0) -> Path:
    """Writes the checkpoint."""
    options = {"backbone": "osnet_x0_25", "last_stride": 1, "pooling": "avg", "neck": "bnneck"}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network("osnet_x0_25")
    state = {f"network.{key}": value for key, value in network.state_dict().items()}
    normalisation = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    torch.save({"state_dict": state, "hyper_parameters": options | normalisation}, path)
    return path


def teacher_options(method: type, folder: Path) -> dict[str, Any]:
    """What a method must be given to be trained at all: a teacher for `Distill`, nothing for the others."""
    if method is not Distill:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    return {"teacher": str(write_teacher(folder / "teacher.ckpt")), "teacher_size": SIZE}


def teacher_arguments(method: str, folder: Path) -> list[str]:
    """The same for the command line, by the name of a configuration."""
    return ["--model.teacher", str(write_teacher(folder / "teacher.ckpt"))] if method == "distill" else []
