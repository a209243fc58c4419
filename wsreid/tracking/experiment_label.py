"""Names for experiments that tell them apart: the method, and where that is not enough the options that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from wsreid.tracking.experiment_hash import config_hash, experiment_options
from wsreid.tracking.flat_options import flat_options

_MOST: Final = 3  # options in a label


def experiment_labels(methods: Sequence[str], configs: Sequence[Mapping[str, object]]) -> list[str]:
    """Labels of some experiments, each another one.

    Args:
        methods: The method of each.
        configs: The resolved configuration of each; no two are the same experiment.

    Returns:
        The method alone where it is there once; else the method with the options by which those of this method differ,
        or, where these are many, with the hash of the configuration.
    """
    flat = [dict(flat_options(experiment_options(config))) for config in configs]
    labels = []
    for at, method in enumerate(methods):
        same = [each for each, name in zip(flat, methods, strict=True) if name == method]
        keys = sorted({key for each in same for key in each})
        differing = [key for key in keys if len({each.get(key) for each in same}) > 1]
        if len(same) == 1:
            labels.append(method)
        elif len(differing) <= _MOST:
            options = ", ".join(f"{_short(key, differing)} {flat[at].get(key, 'none')}" for key in differing)
            labels.append(f"{method} ({options})")
        else:
            labels.append(f"{method} {config_hash(configs[at])}")
    return [
        label if labels.count(label) == 1 else f"{label} {config_hash(config)}"
        for label, config in zip(labels, configs, strict=True)
    ]


def _short(key: str, keys: Sequence[str]) -> str:
    last = key.rpartition(".")[2]
    return last if sum(each.rpartition(".")[2] == last for each in keys) == 1 else key
