"""Run folder, curve, Weights & Biases, pictures and tables.

A table needs no Lightning, so what does is loaded when it is asked for.
"""

import importlib
from typing import TYPE_CHECKING

from wsreid.tracking.experiment_hash import config_hash
from wsreid.tracking.result_table import Accuracy, ResultRow, definition_line, result_table, write_results

if TYPE_CHECKING:
    from wsreid.tracking.csv_logger import CSVLogger, CutCurve
    from wsreid.tracking.ranked_pictures_callback import RankedPicturesCallback
    from wsreid.tracking.run_folder import RunFolder, run_of_checkpoint
    from wsreid.tracking.wandb_logger import GuardedWandbLogger, WandbSettings
else:
    _WITH_LIGHTNING = {
        "CSVLogger": "csv_logger",
        "CutCurve": "csv_logger",
        "GuardedWandbLogger": "wandb_logger",
        "RankedPicturesCallback": "ranked_pictures_callback",
        "RunFolder": "run_folder",
        "WandbSettings": "wandb_logger",
        "run_of_checkpoint": "run_folder",
    }

    def __getattr__(name: str) -> object:
        if name not in _WITH_LIGHTNING:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_WITH_LIGHTNING[name]}"), name)


__all__ = [
    "Accuracy",
    "CSVLogger",
    "CutCurve",
    "GuardedWandbLogger",
    "RankedPicturesCallback",
    "ResultRow",
    "RunFolder",
    "WandbSettings",
    "config_hash",
    "definition_line",
    "result_table",
    "run_of_checkpoint",
    "write_results",
]
