"""The model card: what a stranger needs to know before they use the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wsreid.export.figures import MEANING
from wsreid.export.recipe import Recipe

_FIGURES: Final = {
    **{"R1": "R1", "R5": "R5", "R10": "R10"},
    **{"mAP_step": "mAP (step)", "mAP_trapezoid": "mAP (trapezoid)", "mINP": "mINP"},
}
_DEFINITION: Final = ("metric", "protocol", "junk", "ties", "unmatched", "ap", "n_query", "n_gallery")
_OWN_IMAGES: Final = "synthetic"
_USE: Final = """```python
import cv2
import numpy as np
from wsreid.export.reading import ExportedModel

model = ExportedModel("{file}")
files = ["person.jpg"]
images = [cv2.resize(cv2.imread(file), ({width}, {height}))[..., ::-1] for file in files]  # bilinear, RGB
batch = np.stack(images).transpose(0, 3, 1, 2)  # (N, 3, {height}, {width}) uint8
features = model.embed(batch)  # (N, {width_d}) float32
```

Features are compared by their cosine."""


def model_card(recipe: Recipe, results: Mapping[str, Any], files: Sequence[str]) -> str:
    """Writes the card.

    Args:
        recipe: What the files say about themselves.
        results: The run's results.json; empty = the run has not ended with a test.
        files: Names of the exported files.

    Returns:
        Markdown.
    """
    data = str(results.get("data") or "unknown data")
    lines = [
        f"# {recipe.method} on {data}",
        "",
        f"A person re-identification network ({recipe.backbone}), trained with wsreid from "
        f"{results.get('learns_from', 'labels that were not recorded')}.",
        "",
        "## Input and output",
        "",
        f"RGB images of {recipe.height} x {recipe.width} pixels (height x width), uint8; inside the model they are "
        f"scaled to 0..1, less mean {_three(recipe.mean)}, over std {_three(recipe.std)}. Features have "
        f"{recipe.feature_dim} numbers, are not normalised, and are compared by cosine"
        + ("; each is the sum over the image and its mirror image." if recipe.flip_test else "."),
        "",
        f"The same network in each of: {', '.join(f'`{file}`' for file in files)}.",
        "",
        *([_USE.format(file=files[0], height=recipe.height, width=recipe.width, width_d=recipe.feature_dim), ""]),
        "## Figures",
        "",
        *_figures(results),
        "## Where it comes from",
        "",
        *(f"- {name}: `{value}`" for name, value in sorted(recipe.run.items())),
        "",
        "## Licence of the data",
        "",
        licence_of_data(data),
        "",
    ]
    return "\n".join(lines)


def _figures(results: Mapping[str, Any]) -> list[str]:
    if not results:
        return ["None: the run had not ended with a test.", ""]
    names = [name for name in _FIGURES if name in results["rows"][0]]
    definition = results.get("definition") or {}
    truth = "Its training read true identities." if results.get("used_truth") else "Its training read no true identity."
    labelled = int(results.get("labelled_val_ids") or 0)
    return [
        f"On the test split of {results.get('data')}, in %.",
        "",
        "| | " + " | ".join(_FIGURES[name] for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {row['name']} | " + " | ".join(_figure(row, name) for name in names) + " |" for row in results["rows"]),
        "",
        *_intervals(results),
        f"{truth} Labelled identities used for validation: {labelled}.",
        *(str(note) for note in results.get("notes") or ()),
        "",
        "What the figures mean:",
        "",
        *(f"- {_FIGURES[name]}: {MEANING[name]}" for name in names),
        *(f"- {name}: {definition[name]}" for name in _DEFINITION if name in definition),
        "",
    ]


def _figure(row: Mapping[str, Any], name: str) -> str:
    ends = [f"{100 * end:.1f}" for end in (row.get("intervals") or {}).get(name, ())]
    return f"{100 * row[name]:.1f}" + (f" ({' to '.join(ends)})" if ends else "")


def _intervals(results: Mapping[str, Any]) -> list[str]:
    if not any(row.get("intervals") for row in results["rows"]):
        return []
    how = results["intervals"]
    return [
        f"In brackets {100 * how['level']:.0f} % intervals, by bootstrap over {how['over']} ({how['draws']} draws, "
        f"seed {how['seed']}); they do not tell how another training run would differ.",
        "",
    ]


def licence_of_data(data: str) -> str:
    """What to know of the terms of the training images.

    Args:
        data: Name of the data set.
    """
    if data == _OWN_IMAGES:
        return "The training images were rendered by wsreid: they show nobody, and nobody else has rights in them."
    return (
        f"The training images are those of {data}. Its terms, which are those under which you got it, bind what is "
        "trained on it: most person re-identification sets are for academic research alone, show people who were not "
        "asked, and forbid to pass on images. Read them before you publish this model, and state them here."
    )


def _three(values: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
