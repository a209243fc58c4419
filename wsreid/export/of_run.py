"""From a run folder to an exported file, checked against the run's own network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from wsreid.data.images import ImageLocation, read_image
from wsreid.data.manifest import Split
from wsreid.data.transforms import EvalTransform
from wsreid.errors import WsreidError
from wsreid.export.embedder import Embedder
from wsreid.export.format_names import Format
from wsreid.export.formats import write_exported
from wsreid.export.reading import ExportedModel
from wsreid.export.recipe import WEIGHTS, Recipe
from wsreid.methods import Method
from wsreid.models.weights_hash import weights_hash
from wsreid.tracking.loaded_run import Image, LoadedRun

LIMIT: Final = 1e-4
"""Largest difference of two features of norm 1 that is let through."""

_BATCHES: Final = (1, 3)
"""Sizes of the batches that the check embeds: not those that the graph was made with."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    Attributes:
        path: The file.
        kind: Its format.
        recipe: What it says about itself.
        difference: Largest difference between its features and the run's, each of norm 1.
        images: Over how many images.
    """

    path: Path
    kind: Format
    recipe: Recipe
    difference: float
    images: int


def recipe_of(run: LoadedRun) -> Recipe:
    """How the run's network embeds.

    Args:
        run: The run.

    Returns:
        The recipe.

    Raises:
        DataError: The run's checkpoint is missing or damaged.
    """
    method: Method = run.method
    init: dict[str, Any] = dict(run.config["model"]["init_args"])
    size = run.config["data"]["init_args"]
    results = run.recorded.results
    facts = {f"hash of {name}": value for name, value in run.recorded.hashes.items()}
    facts |= {f"version of {name}": str(value) for name, value in dict(results.get("versions") or {}).items()}
    facts |= {"git commit": str(results["git_commit"])} if results.get("git_commit") else {}
    return Recipe(
        height=int(size["height"]),
        width=int(size["width"]),
        mean=_three(method.mean),
        std=_three(method.std),
        flip_test=bool(method.flip_test),
        feature_dim=int(method.network.feature_dim),
        backbone=str(init["backbone"]),
        pooling=str(init["pooling"]),
        neck=str(init["neck"]),
        last_stride=int(init["last_stride"]),
        method=run.recorded.method,
        run=facts
        | {"seed": str(run.recorded.seed), "checkpoint": run.checkpoint.stem}
        | {"epochs": str(run.config["trainer"]["max_epochs"])}
        | {WEIGHTS: weights_hash(method.state_dict())},
    )


def query_images(run: LoadedRun, count: int) -> list[Image]:
    """The first images of the run's query set.

    Args:
        run: The run.
        count: How many at most.

    Returns:
        RGB images `(h, w, 3)` uint8.

    Raises:
        DataError: The run's data set is not where it was, or an image of it cannot be read.
    """
    manifest = run.data.manifest
    return [read_image(manifest.location(int(row))) for row in manifest.rows(Split.QUERY)[:count]]


def export_run(
    run: LoadedRun, kind: Format, path: Path, images: Sequence[Image | Path], recipe: Recipe | None = None
) -> Exported:
    """Writes the file and embeds real images with it and with the run.

    Args:
        run: The run.
        kind: The format.
        path: Where to.
        images: Files, or RGB images `(h, w, 3)` uint8.
        recipe: What the file says about itself; None = `recipe_of` the run.

    Returns:
        What was written.

    Raises:
        WsreidError: The features differ by more than `LIMIT`; the file is removed.
        ConfigError: The file cannot be written, or a package is missing.
    """
    recipe = recipe or recipe_of(run)
    write_exported(Embedder(run.method.network, recipe).cpu(), recipe, kind, path)
    resize = EvalTransform(recipe.height, recipe.width)
    loaded = [read_image(ImageLocation(each)) if isinstance(each, Path) else each for each in images]
    batch = torch.stack([resize(image) for image in loaded])  # (N, 3, H, W)
    difference = largest_difference(ExportedModel(path), run.method.cpu(), batch)
    if not difference <= LIMIT:
        path.unlink()
        raise WsreidError(
            f"{path}: its features differ from the run's by {difference:.1e}, more than {LIMIT:.0e}; it is removed. "
            "Please report the backbone, and take another --format."
        )
    return Exported(path, kind, recipe, difference, len(batch))


@torch.no_grad()
def largest_difference(model: ExportedModel, method: Method, images: Tensor) -> float:
    """Compares features, each scaled to norm 1.

    Args:
        model: The exported file.
        method: The original, in evaluation mode.
        images: `(N, 3, H, W)` uint8.

    Returns:
        The largest absolute difference of two numbers.
    """
    worst = 0.0
    for size in _BATCHES:
        for start in range(0, len(images), size):
            part = images[start : start + size]
            ours, theirs = (torch.nn.functional.normalize(x) for x in (method.embed(part), model.embed(part)))
            worst = max(worst, float((ours - theirs).abs().max()))
    return worst


def _three(values: Tensor) -> tuple[float, float, float]:
    first, second, third = (round(float(value), 6) for value in values.flatten())
    return first, second, third
