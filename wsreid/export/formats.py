"""Writes an embedder to a file: ONNX, torch.export's pt2, or safetensors."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import torch

from wsreid.data.cache import write_atomically
from wsreid.errors import ConfigError
from wsreid.export.embedder import Embedder
from wsreid.export.format_names import Format
from wsreid.export.recipe import KEY, Recipe

RECIPE_FILE: Final = f"{KEY}.json"
INPUT, OUTPUT = "images", "features"


def write_exported(embedder: Embedder, recipe: Recipe, kind: Format, path: Path) -> None:
    """Writes the file, whole or not at all.

    ONNX and pt2 hold the graph, from resized uint8 images `(N, 3, H, W)` to features `(N, D)`, for any N; safetensors
    holds the network's weights, and the recipe says what to build around them.

    Args:
        embedder: What is exported.
        recipe: What the file says about itself.
        kind: Its format.
        path: Where to.

    Raises:
        ConfigError: A package that ONNX needs is missing, or the file cannot be written.
    """
    if kind == "onnx":
        require_onnx()
    try:
        write_atomically(path, partial(_WRITERS[kind], embedder, recipe))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error}).") from error


def require_onnx() -> None:
    """Checks that ONNX can be written and run.

    Raises:
        ConfigError: A package is missing.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"ONNX needs {', '.join(missing)}: pip install 'wsreid[onnx]', or take --format pt2.")


def _graph(embedder: Embedder, recipe: Recipe) -> torch.export.ExportedProgram:
    example = torch.zeros(2, 3, recipe.height, recipe.width, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program = torch.export.export(embedder, (example,), dynamic_shapes={INPUT: {0: batch}})
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it names files of this machine, and the file is for others
    return program


def _write_onnx(embedder: Embedder, recipe: Recipe, path: Path) -> None:
    with _quiet_exporter():
        program = torch.onnx.export(
            _graph(embedder, recipe), dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
        if program is None:
            raise AssertionError("torch.onnx.export returns a program where it is given no file")
        program.model.metadata_props[KEY] = recipe.to_json()
        program.save(str(path), external_data=False)


def _write_pt2(embedder: Embedder, recipe: Recipe, path: Path) -> None:
    written = io.BytesIO()  # torch refuses a temporary name, which does not end in .pt2
    with _quiet_exporter():
        torch.export.save(_graph(embedder, recipe), written, extra_files={RECIPE_FILE: recipe.to_json()})
    path.write_bytes(written.getbuffer())


def _write_safetensors(embedder: Embedder, recipe: Recipe, path: Path) -> None:
    from safetensors.torch import save  # late: for this format alone

    state = {name: value.detach().cpu().contiguous().clone() for name, value in embedder.network.state_dict().items()}
    path.write_bytes(save(state, metadata={KEY: recipe.to_json()}))  # save_file's files are for their owner alone


_WRITERS: Mapping[Format, Callable[[Embedder, Recipe, Path], None]] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
    "safetensors": _write_safetensors,
}


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keeps the exporter's remarks about itself out of the output."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
