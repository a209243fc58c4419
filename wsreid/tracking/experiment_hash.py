"""Which experiment a configuration is: the same for all its seeds, wherever its runs lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

# What says where and how a run is recorded, or which of several seeds it is, but not which experiment it is.
_NOT_HASHED = ("config", "run", "wandb", "ckpt_path", "seed_everything", "test_after_fit", "features", "checkpoint")


def experiment_options(config: Mapping[str, object]) -> dict[str, object]:
    """The part of a configuration that says which experiment it is.

    Args:
        config: The resolved configuration as plain values.

    Returns:
        It without seed, run folder, W&B settings and the like.
    """
    kept = {key: value for key, value in config.items() if key not in _NOT_HASHED}
    camera_norm = kept.get("camera_norm")
    if isinstance(camera_norm, Mapping) and camera_norm.get("mode") == "none":
        del kept["camera_norm"]  # the experiment of runs that are older than the option
    return kept


def config_hash(config: Mapping[str, object]) -> str:
    """Names an experiment: equal for runs that differ in seed, run folder and W&B settings alone.

    Args:
        config: The resolved configuration as plain values.

    Returns:
        Eight hexadecimal digits.
    """
    text = json.dumps(experiment_options(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
