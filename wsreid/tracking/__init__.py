"""Run folder, curve, Weights & Biases, pictures and tables."""

from wsreid.tracking.csv_logger import CSVLogger, CutCurve
from wsreid.tracking.ranked_pictures_callback import RankedPicturesCallback
from wsreid.tracking.result_table import Accuracy, ResultRow, definition_line, result_table, write_results
from wsreid.tracking.run_folder import RunFolder, config_hash, run_of_checkpoint
from wsreid.tracking.wandb_logger import GuardedWandbLogger, WandbSettings

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
