"""Weights files: found by path or folder, read without running code, loaded strictly."""

import logging
import os
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from wsreid.errors import WeightsError
from wsreid.torn import torn

WEIGHTS_DIR_VARIABLE: Final = "WSREID_WEIGHTS_DIR"
_WRAPPERS: Final = ("state_dict", "model")
_PARALLEL_PREFIX: Final = "module."
NETWORK_PREFIX: Final = "network."  # of the embedding network in a run's checkpoints
_NAMED_KEYS: Final = 4  # keys quoted in a message before it says "and n more"

_logger = logging.getLogger(__name__)


def find_weights(name: str) -> Path:
    """Find a weights file: as a path first, then in the folder that WSREID_WEIGHTS_DIR names.

    Args:
        name: A path, or a file name inside that folder.

    Raises:
        WeightsError: There is no such file; the message names both places.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    folder = os.environ.get(WEIGHTS_DIR_VARIABLE)
    if folder:
        inside = Path(folder).expanduser() / name
        if inside.is_file():
            return inside
        second = f"nor at {inside} ({WEIGHTS_DIR_VARIABLE}={folder})"
    else:
        second = f"and the environment variable {WEIGHTS_DIR_VARIABLE} is not set"
    raise WeightsError(
        f"weights {name!r} not found: no file at {path.absolute()}, {second}. "
        f"Give the path of the file, or set {WEIGHTS_DIR_VARIABLE} to the folder that holds it."
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's tensors with `weights_only=True`, so that the file cannot run code.

    A wrapping dictionary (`state_dict`, `model`) and the prefix `module.` of data-parallel training are taken off.

    Args:
        path: A file written by `torch.save`.

    Returns:
        Parameter name to tensor, on the CPU.

    Raises:
        WeightsError: The file cannot be read, is damaged, holds Python objects or holds no state dict.
    """
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"weights {path} cannot be read: {error}") from error
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))  # torch names the Python object that it will not load
        if refused is None:
            raise _damaged(path) from error
        raise WeightsError(
            f"weights {path} hold more than tensors ({refused[1]}); loading that could run code, so the file is "
            "refused. If you trust its author, save it again with nothing but the state dict."
        ) from error
    except Exception as error:  # the reader of a damaged archive or pickle may fail with any exception
        raise _damaged(path) from error
    if zipfile.is_zipfile(path) and (fault := torn(path)):  # else a file of before torch 1.6, which has no checksums
        raise WeightsError(
            f"weights {path} are damaged: {fault}. Copy or download them again; if they were written without checksums "
            "(torch.serialization.set_crc32_options), save them again."
        )
    while isinstance(content, Mapping):
        wrapped = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapped is None:
            break
        content = wrapped
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"weights {path} hold no state dict but {type(content).__name__}")
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"weights {path} hold no state dict: entry {key!r} is {type(value).__name__}, not a tensor. "
                f"Expected a state dict, bare or under one of the keys {', '.join(_WRAPPERS)}."
            )
        state[key] = value
    if all(key.startswith(_PARALLEL_PREFIX) for key in state):
        state = {key.removeprefix(_PARALLEL_PREFIX): value for key, value in state.items()}
    return state


def is_run_checkpoint(name: str) -> bool:
    """Whether a weights file is a checkpoint of a run of ours, whose embedding network has a prefix of its own.

    Args:
        name: See `find_weights`.

    Raises:
        WeightsError: The file is missing or unreadable.
    """
    return any(key.startswith(NETWORK_PREFIX) for key in read_state_dict(find_weights(name)))


def load_weights(
    module: nn.Module,
    name: str,
    *,
    classifiers: Sequence[str] = ("classifier",),
    fresh: Sequence[str] = (),
    prefix: str = "",
) -> None:
    """Load a weights file into a module, strictly; a classifier of the file may be dropped, which is logged.

    Args:
        module: The network, or the part of it that the file describes.
        name: See `find_weights`.
        classifiers: Prefixes of keys that the file may hold in excess.
        fresh: Prefixes of the module's keys that the file may lack; they keep their initial values.
        prefix: Only what the file holds under this prefix is taken, without it.

    Raises:
        WeightsError: The file is missing or unreadable, or keys or shapes do not fit; they are named.
    """
    path = find_weights(name)
    found = read_state_dict(path)
    state = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
    own = module.state_dict()
    dropped = [key for key in state if key not in own and _under(key, classifiers)]
    kept = {key: value for key, value in state.items() if key not in dropped}
    # Files older than torch 0.4.1 have no such counters; nothing reads them when momentum is set.
    absent = [key for key in own if key not in kept and not key.endswith("num_batches_tracked")]
    missing = [key for key in absent if not _under(key, fresh)]
    unexpected = [key for key in kept if key not in own]
    misshapen = [
        f"{key} is {tuple(value.shape)} in the file and {tuple(own[key].shape)} in the network"
        for key, value in kept.items()
        if key in own and own[key].shape != value.shape
    ]
    faults = [
        f"{label}: {_quote(keys)}"
        for label, keys in (("missing", missing), ("unexpected", unexpected), ("other shape", misshapen))
        if keys
    ]
    if faults:
        raise WeightsError(
            f"weights {path} do not fit the network; {'; '.join(faults)}. "
            "Set `backbone` to the network that the file was trained as."
        )
    module.load_state_dict(kept, strict=False)
    _logger.info("loaded %d tensors from %s", len(kept), path)
    if dropped:
        shapes = [f"{key} {tuple(state[key].shape)}" for key in dropped]
        _logger.info("dropped the classifier of %s: %s", path, _quote(shapes))
    if absent:
        _logger.info("not in %s, left as initialised: %s", path, _quote(absent))


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"weights {path} ({path.stat().st_size} bytes) are damaged, or no file written by torch.save: "
        "fetch the file again and compare its size."
    )


def _under(key: str, prefixes: Sequence[str]) -> bool:
    return any(key.startswith(f"{prefix}.") for prefix in prefixes)


def _quote(keys: Sequence[str]) -> str:
    more = len(keys) - _NAMED_KEYS
    return ", ".join(keys[:_NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
