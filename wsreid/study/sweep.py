"""A study as a Weights & Biases sweep: the same runs, handed out by W&B to any number of machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from wsreid.study.options import merged, with_options
from wsreid.study.plan import PlannedRun
from wsreid.study.records import write_text
from wsreid.study.study_file import Study, folder_name

_ONLINE = {"wandb.mode": "online"}  # a sweep without W&B would learn nothing
METRIC = "best/mAP_step"  # a plain number in W&B's summary; the highest of val/mAP_step, which W&B nests


def write_sweep(study: Study, runs: Sequence[PlannedRun], path: Path) -> list[Path]:
    """Writes a sweep file, and beside it a configuration for each method and bag setting.

    A sweep's grid is a product of parameters, and the options of a method or of a bag setting go together: so the
    parameters are the configuration and the seed.

    Args:
        study: The study.
        runs: Its runs.
        path: The sweep file.

    Returns:
        What was written, the sweep file first.
    """
    folder = path.with_name(f"{path.stem}-configs")
    contents = {entry.label: entry.content for entry in study.methods}
    configs: dict[Path, dict[str, Any]] = {}
    for run in runs:
        config = folder / run.setting / f"{folder_name(run.label)}.yaml"
        if config not in configs:
            configs[config] = with_options(contents[run.label], merged(run.options, _ONLINE))
            configs[config].pop("seed_everything", None)  # the sweep's own parameter
    for config, content in configs.items():
        write_text(config, yaml.safe_dump(content, sort_keys=False))
    sweep = {
        "name": study.name,
        "description": study.about,
        "program": "wsreid",
        "command": ["${env}", "python", "-m", "wsreid", "fit", "${args}"],
        "method": "grid",
        "metric": {"name": METRIC, "goal": "maximize"},
        "parameters": {
            "config": {"values": [config.as_posix() for config in configs]},
            "seed_everything": {"values": list(dict.fromkeys(run.seed for run in runs))},
        },
    }
    write_text(path, yaml.safe_dump(sweep, sort_keys=False))
    return [path, *configs]
