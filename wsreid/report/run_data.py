"""Opens the data that a run was trained and tested on, as far as it is still there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from wsreid.data.cache import cache_dir
from wsreid.data.datamodule import BagDataModule
from wsreid.data.rendered import RenderSettings
from wsreid.errors import DataError, WsreidError
from wsreid.tracking.loaded_run import LoadedRun
from wsreid.tracking.recorded_run import RecordedRun
from wsreid.tracking.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class RunData:
    """The data of a run.

    Attributes:
        module: Its manifest and images; None = they are not there any more.
        reason: Why not; empty where they are.
    """

    module: BagDataModule | None
    reason: str = ""


class DataOfRuns:
    """Opens each data set once, however many runs are on it."""

    def __init__(self) -> None:
        self._opened: dict[str, RunData] = {}

    def of(self, run: RecordedRun) -> RunData:
        """The data of a run, if it is still the same: rows of its result would else be other images.

        Args:
            run: The run.
        """
        key = json.dumps([run.config.get("data"), run.hashes.get("data")], sort_keys=True, default=str)
        if key not in self._opened:
            try:
                self._opened[key] = RunData(_module(run))
            except (WsreidError, OSError) as error:
                self._opened[key] = RunData(None, " ".join(str(error).split()))
        return self._opened[key]


def loaded(run: RecordedRun) -> LoadedRun:
    """A run with its last checkpoint, on the CPU.

    Args:
        run: The run.
    """
    return LoadedRun(run, RunFolder(run.path).last_checkpoint, None, torch.device("cpu"))


def _module(run: RecordedRun) -> BagDataModule:
    if "data" not in run.hashes:
        raise DataError("the hash of its data is not recorded, so whether these are the same cannot be told")
    options = (run.config.get("data") or {}).get("init_args") or {}
    if _rendering_is_gone(options):
        # a report is a look at what is there: it does not spend minutes on making images again
        raise DataError("the rendered images are not in the cache folder any more; a fit or a test renders them again")
    return loaded(run).data


def _rendering_is_gone(options: Mapping[str, Any]) -> bool:
    if options.get("root") is not None or options.get("manifest") is not None:
        return False
    try:
        settings = RenderSettings(**(options.get("rendered") or {}))
    except TypeError as error:
        raise DataError(f"its rendered set is one of another version of wsreid ({error})") from error
    return not (cache_dir() / "rendered" / settings.key).is_dir()
