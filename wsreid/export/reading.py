"""Opens an exported file and embeds with it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreid.errors import WeightsError
from wsreid.export.embedder import Embedder
from wsreid.export.format_names import Format, format_of
from wsreid.export.formats import INPUT, OUTPUT, RECIPE_FILE, require_onnx
from wsreid.export.recipe import KEY, Recipe
from wsreid.models import build_network
from wsreid.models.neck import Neck
from wsreid.models.pooling import Pooling

Embed = Callable[[Tensor], Tensor]


class ExportedModel:
    """An exported file, opened.

    Args:
        path: The file; its ending is its format.
        device: Where torch computes; ONNX runs on the CPU.

    Attributes:
        recipe: What it says about itself.

    Raises:
        WeightsError: It is missing, damaged, or was not written by `python -m wsreid export`.
        ConfigError: A package that ONNX needs is missing.
    """

    def __init__(self, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> None:
        path = Path(path)
        kind = format_of(path)
        if kind is None:
            raise WeightsError(f"{path}: an exported file ends in .{', .'.join(_OPENERS)}.")
        if not path.is_file():
            raise WeightsError(f"{path}: there is no such file. `python -m wsreid export RUN` writes one.")
        try:
            self.recipe, self._embed = _OPENERS[kind](path, torch.device(device))
        except WeightsError:
            raise
        except Exception as error:  # each library has its own, and none documents all
            told = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{path} is damaged, or no exported model ({told[:200]}). Export it again.") from error

    @torch.no_grad()
    def embed(self, images: Tensor | NDArray[np.uint8]) -> Tensor:
        """Embeds.

        Args:
            images: `(N, 3, H, W)` uint8, RGB, of the recipe's size; a tensor or an array.

        Returns:
            `(N, D)` float32 on the CPU, not normalised.

        Raises:
            WeightsError: The images have another size or type.
        """
        given = torch.as_tensor(images)
        height, width = self.recipe.height, self.recipe.width
        if given.dtype != torch.uint8 or tuple(given.shape[1:]) != (3, height, width):
            raise WeightsError(
                f"images {tuple(given.shape)} {given.dtype}: the model takes (N, 3, {height}, {width}) torch.uint8."
            )
        return self._embed(given).float().cpu()


def _open_onnx(path: Path, device: torch.device) -> tuple[Recipe, Embed]:
    require_onnx()
    import onnxruntime  # late: an extra

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    recipe = _recipe(session.get_modelmeta().custom_metadata_map, KEY, path)

    def embed(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: images.cpu().contiguous().numpy()})[0])

    return recipe, embed


def _open_pt2(path: Path, device: torch.device) -> tuple[Recipe, Embed]:
    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path} is damaged, or no exported model (no archive). Export it again.")
    extra = {RECIPE_FILE: ""}
    program = torch.export.load(path, extra_files=extra)
    module = program.module().to(device)
    return _recipe(extra, RECIPE_FILE, path), lambda images: cast("Tensor", module(images.to(device)))


def _open_safetensors(path: Path, device: torch.device) -> tuple[Recipe, Embed]:
    from safetensors import safe_open  # late: for this format alone

    with safe_open(str(path), framework="pt") as file:
        recipe = _recipe(file.metadata() or {}, KEY, path)
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    network = build_network(
        recipe.backbone,
        pooling=cast("Pooling", recipe.pooling),
        neck=cast("Neck", recipe.neck),
        last_stride=recipe.last_stride,
    )
    network.load_state_dict(state)
    embedder = Embedder(network, recipe).to(device)
    return recipe, lambda images: cast("Tensor", embedder(images.to(device)))


def _recipe(found: Mapping[str, str], key: str, path: Path) -> Recipe:
    return Recipe.from_json(found.get(key) or "null", str(path))


_OPENERS: Mapping[Format, Callable[[Path, torch.device], tuple[Recipe, Embed]]] = {
    "onnx": _open_onnx,
    "pt2": _open_pt2,
    "safetensors": _open_safetensors,
}
