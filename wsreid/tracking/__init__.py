"""Run folder, curve, Weights & Biases, pictures and tables.

What needs torch or Lightning is loaded when it is asked for: a study reads and compares records without both. The
function `result_table` is taken from its file, whose name it has.
"""

import importlib
from typing import TYPE_CHECKING

from wsreid.tracking.experiment_hash import config_hash

if TYPE_CHECKING:
    from wsreid.tracking.csv_logger import CSVLogger, CutCurve
    from wsreid.tracking.ranked_pictures_callback import RankedPicturesCallback
    from wsreid.tracking.result_table import Accuracy, ResultRow, definition_line, write_results
    from wsreid.tracking.run_folder import RunFolder, run_of_checkpoint
    from wsreid.tracking.wandb_callback import WandbCallback
    from wsreid.tracking.wandb_logger import GuardedWandbLogger
    from wsreid.tracking.wandb_settings import WandbSettings
else:
    _LATER = {
        "Accuracy": "result_table",
        "CSVLogger": "csv_logger",
        "CutCurve": "csv_logger",
        "GuardedWandbLogger": "wandb_logger",
        "RankedPicturesCallback": "ranked_pictures_callback",
        "ResultRow": "result_table",
        "RunFolder": "run_folder",
        "WandbCallback": "wandb_callback",
        "WandbSettings": "wandb_settings",
        "definition_line": "result_table",
        "run_of_checkpoint": "run_folder",
        "write_results": "result_table",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = [
    "Accuracy",
    "CSVLogger",
    "CutCurve",
    "GuardedWandbLogger",
    "RankedPicturesCallback",
    "ResultRow",
    "RunFolder",
    "WandbCallback",
    "WandbSettings",
    "config_hash",
    "definition_line",
    "run_of_checkpoint",
    "write_results",
]
