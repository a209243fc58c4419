"""In which options the configurations of runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsreid.tracking.flat_options import flat_options

ABSENT = "(absent)"
# Where a run is recorded and which files it was put together from is no part of the experiment.
_LEFT_OUT = ("run", "config", "ckpt_path")


@dataclass(frozen=True)
class Difference:
    """An option that the runs do not agree on.

    Attributes:
        key: Its dotted name, as the command line takes it.
        values: Its value in each run, as YAML writes it; `ABSENT` where a run has no such option.
    """

    key: str
    values: tuple[str, ...]


def config_differences(configs: Sequence[Mapping[str, object]]) -> list[Difference]:
    """Compares configurations.

    Args:
        configs: Resolved configurations.

    Returns:
        The options that differ, by name; none for fewer than two configurations.
    """
    flat = [dict(flat_options(config)) for config in configs]
    keys = sorted({key for each in flat for key in each if key.partition(".")[0] not in _LEFT_OUT})
    found = [Difference(key, tuple(each.get(key, ABSENT) for each in flat)) for key in keys]
    return [each for each in found if len(set(each.values)) > 1]
