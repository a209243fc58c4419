"""Opens the data that a run was trained and tested on, as far as it is still there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass

from jsonargparse import ArgumentParser

from wsreid.data.cache import cache_dir
from wsreid.data.datamodule import BagDataModule
from wsreid.errors import DataError, WsreidError
from wsreid.tracking.recorded_run import RecordedRun


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
        """The data of a run; rows are those of its result only where the content hash is still the same.

        Args:
            run: The run.
        """
        config = run.config.get("data") or {}
        key = json.dumps(config, sort_keys=True, default=str)
        if key not in self._opened:
            self._opened[key] = _opened(config)
        found = self._opened[key]
        recorded = str(run.hashes.get("data", ""))
        if found.module is not None and found.module.manifest.hash != recorded:
            return RunData(
                None,
                f"the data set has changed since the run: its hash was {recorded[:12] or 'not recorded'} and is "
                f"{found.module.manifest.hash[:12]}, so rows would be other images",
            )
        return found


def _opened(config: Mapping[str, object]) -> RunData:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(BagDataModule, "data")
    try:
        module = parser.instantiate(parser.parse_object({"data": dict(config)})).data
        _refuse_to_render(module)
        _ = module.manifest
    except (argparse.ArgumentError, ValueError, TypeError) as error:
        return RunData(None, f"the data set of its configuration cannot be opened ({' '.join(str(error).split())})")
    except (WsreidError, OSError) as error:
        return RunData(None, " ".join(str(error).split()))
    return RunData(module)


def _refuse_to_render(module: BagDataModule) -> None:
    """A report is a look at what is there: it does not spend minutes on making images again."""
    rendered = module.root is None and module.manifest_file is None
    if rendered and not (cache_dir() / "rendered" / module.rendered.key).is_dir():
        raise DataError("the rendered images are not in the cache folder any more; a fit or a test renders them again")
