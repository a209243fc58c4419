"""The YAML above a model card, which a model hub reads: licence, tags, and the figures of the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from wsreid.export.figures import MEANING
from wsreid.export.format_names import Format
from wsreid.export.recipe import Recipe

UNSTATED: Final = "other"
"""The hub's word for a licence that it does not know; here: whoever publishes has stated none."""
LICENCE_FILE: Final = "LICENSE.md"

_NAMES: Final = {
    "R1": "Rank-1, %",
    "R5": "Rank-5, %",
    "R10": "Rank-10, %",
    "mAP_step": "mAP (step), %",
    "mAP_trapezoid": "mAP (trapezoid), %",
    "mINP": "mINP, %",
}
_TASK: Final = "image-feature-extraction"


def front_matter(recipe: Recipe, results: Mapping[str, Any], kinds: Sequence[Format], licence: str) -> str:
    """Writes it; the keys are those of https://github.com/huggingface/hub-docs/blob/main/modelcard.md.

    Args:
        recipe: What the files say about themselves.
        results: The run's results.json, with nothing of this machine; empty = the run has not ended with a test.
        kinds: The formats of the files.
        licence: The hub's name of the licence, or `UNSTATED`.

    Returns:
        YAML between two lines of dashes.
    """
    content: dict[str, Any] = {"license": licence}
    if licence == UNSTATED:
        content |= {"license_name": "not-stated", "license_link": LICENCE_FILE}
    content |= {
        "library_name": "wsreid",
        "pipeline_tag": _TASK,
        "tags": ["person-re-identification", "weakly-supervised", "image-retrieval", "pytorch", *kinds],
    }
    measured = [] if not results else [name for name in _NAMES if results["rows"][0].get(name) is not None]
    if measured:
        content |= {"metrics": [_NAMES[name].removesuffix(", %") for name in measured]}
        content["model-index"] = [_index(recipe, results, measured)]
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{text}---\n"


def _index(recipe: Recipe, results: Mapping[str, Any], measured: Sequence[str]) -> dict[str, Any]:
    data, row = str(results.get("data") or "unknown"), results["rows"][0]
    about = {"hash": recipe.run.get("hash of data", "unknown"), **dict(results.get("definition") or {})}
    dataset = {"type": data, "name": data, "split": "test", "args": about}
    metrics = [
        {
            "type": name,
            "name": _NAMES[name],
            "value": round(100 * float(row[name]), 2),
            "args": {"meaning": MEANING[name]},
        }
        for name in measured
    ]
    task = {"type": _TASK, "name": "Person re-identification"}
    return {
        "name": f"{recipe.method} on {data}",
        "results": [{"task": task, "dataset": dataset, "metrics": metrics}],
    }
