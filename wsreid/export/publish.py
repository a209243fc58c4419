"""Fills a folder that is ready for a model hub, and never connects to one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from wsreid.data.cache import write_atomically
from wsreid.errors import ConfigError, WsreidError
from wsreid.export.card import licence_of_data, model_card
from wsreid.export.figures import MEANING
from wsreid.export.format_names import FORMATS, Format
from wsreid.export.front_matter import LICENCE_FILE, UNSTATED, front_matter
from wsreid.export.machine import Machine, folders_named
from wsreid.export.of_run import Exported, export_run, recipe_of
from wsreid.export.published_folder import remove_published, write_sums
from wsreid.export.recipe import Recipe
from wsreid.tracking.loaded_run import Image, LoadedRun

FORMAT: Final = "wsreid publish 1"
# of a run's configuration: names of accounts, and where this machine keeps what
_LEFT_OUT: Final = ("wandb", "run", "ckpt_path", "weights_only")
_ATTRIBUTES: Final = "".join(f"*.{kind} filter=lfs diff=lfs merge=lfs -text\n" for kind in FORMATS)
_RESULTS: Final = (
    *("method", "learns_from", "used_truth", "labelled_val_ids", "data", "hashes", "seed"),
    *("rows", "intervals", "definition", "notes", "versions", "git_commit"),
)


@dataclass(frozen=True)
class Published:
    """A folder that was filled.

    Attributes:
        folder: The folder.
        files: Its files.
        exported: The model files, as they were checked.
        tested: Whether the run has ended with a test, so that there are figures.
    """

    folder: Path
    files: tuple[Path, ...]
    exported: tuple[Exported, ...]
    tested: bool


def publish_run(
    run: LoadedRun,
    kinds: Sequence[Format],
    folder: Path,
    images: Sequence[Image | Path],
    licence: str = UNSTATED,
    watch: Callable[[str, int, int], None] = lambda *_: None,
) -> Published:
    """Fills a folder; it appears whole or not at all.

    Args:
        run: The run.
        kinds: Formats of the model files.
        folder: Where to; missing, empty, or a former publish, which `check_folder` tells.
        images: What the model files are checked with: files, or RGB images `(h, w, 3)` uint8. None of them is written.
        licence: The hub's name of the licence.
        watch: Is told what is done.

    Returns:
        What was written.

    Raises:
        WsreidError: Features differ from the run's, or a file would name a folder of this machine.
        ConfigError: A package that ONNX needs is missing, or the folder cannot be written.
        DataError: The run is damaged, or there is no leave to write there.
    """
    place = folder.resolve()
    machine = Machine.here([run.path, place, *folders_named(run.config)])
    exported: list[Exported] = []

    def fill(partial: Path) -> None:
        partial.mkdir()
        results = _results(run, machine)
        recipe = recipe_of(run)
        recipe = replace(recipe, run=machine.cleaned(recipe.run))
        for number, kind in enumerate(kinds):
            watch(f"exporting to {kind}", number, len(kinds))
            exported.append(export_run(run, kind, partial / f"model.{kind}", images, recipe))
        for name, text in _texts(run, recipe, results, kinds, licence, machine).items():
            (partial / name).write_text(text, encoding="utf-8")
        for file in partial.iterdir():
            told = machine.told_by(file.read_bytes())
            if told is not None:
                raise WsreidError(
                    f"{file.name} would hold the path {told} of this machine: nothing is published. Please report it."
                )
        write_sums(partial)
        remove_published(place)

    try:
        write_atomically(place, fill)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be written ({error.strerror or error}).") from error
    done = tuple(replace(each, path=folder / each.path.name) for each in exported)
    files = tuple(folder / file.name for file in sorted(place.iterdir()))
    return Published(folder, files, done, run.recorded.finished)


def check_licence(licence: str) -> None:
    """Refuses what is no name of a licence.

    Args:
        licence: Its name.

    Raises:
        ConfigError: It has other characters than the hub's names.
    """
    if not licence or set(licence) - set("abcdefghijklmnopqrstuvwxyz0123456789.-"):
        raise ConfigError(f"--license {licence!r}: name it as the hub does, such as mit, apache-2.0 or cc-by-nc-4.0.")


def _results(run: LoadedRun, machine: Machine) -> Mapping[str, Any]:
    found = run.recorded.results
    cleaned: Mapping[str, Any] = machine.cleaned({name: found[name] for name in _RESULTS if name in found})
    return cleaned


def _texts(
    run: LoadedRun,
    recipe: Recipe,
    results: Mapping[str, Any],
    kinds: Sequence[Format],
    licence: str,
    machine: Machine,
) -> Mapping[str, str]:
    config = machine.cleaned({name: value for name, value in run.config.items() if name not in _LEFT_OUT})
    figures = dict(results) | {"meaning": dict(MEANING)} if results else {"rows": []}
    texts = {
        "README.md": front_matter(recipe, results, kinds, licence)
        + model_card(recipe, results, [f"model.{kind}" for kind in kinds]),
        "config.yaml": yaml.safe_dump(config, sort_keys=False),
        "preprocessing.json": _json(_preprocessing(recipe)),
        "results.json": _json({"format": FORMAT, **figures}),
        ".gitattributes": _ATTRIBUTES,
    }
    if licence == UNSTATED:
        texts[LICENCE_FILE] = (
            "No licence of the model is stated here; without one nobody but its author may use it.\n\n"
            f"{licence_of_data(str(results.get('data') or 'unknown data'))}\n"
        )
    return texts


def _preprocessing(recipe: Recipe) -> Mapping[str, Any]:
    own = {name: value for name, value in asdict(recipe).items() if name not in ("run", "method")}
    return {
        "format": FORMAT,
        **own,
        "channels": "RGB",
        "resize": "bilinear, as OpenCV's INTER_LINEAR",
        "input": "uint8 (N, 3, height, width); scaling to 0..1, mean and std, and the flip are inside the model",
        "output": "float32 (N, feature_dim), not normalised",
        "similarity": "cosine",
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=False) + "\n"
