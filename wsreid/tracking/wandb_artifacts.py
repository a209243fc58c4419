"""The files of a run that W&B may keep as artifacts: its checkpoints and its bags."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl

from wsreid.data.datamodule import BagDataModule
from wsreid.tracking.run_folder import RunFolder
from wsreid.tracking.wandb_logger import GuardedWandbLogger


def log_artifacts(trainer: pl.Trainer, method: str, logger: GuardedWandbLogger) -> None:
    """Logs the checkpoints as `checkpoints-<W&B id>`, and the bag file as `bags-<hash>`, which runs share.

    Bags that each epoch draws anew have no file that the run has learned from, so none is logged.

    Args:
        trainer: The trainer after its fit.
        method: Name of the method.
        logger: Takes them.
    """
    folder = RunFolder(Path(trainer.default_root_dir)).checkpoints
    checkpoints = [path for name in ("last", "best") if (path := folder / f"{name}.ckpt").is_file()]
    data = getattr(trainer, "datamodule", None)
    hashes = data.hashes if isinstance(data, BagDataModule) else {}
    if checkpoints:
        about = {"method": method, "epochs": trainer.current_epoch, "steps": trainer.global_step, **hashes}
        logger.log_files(f"checkpoints-{logger.version}", "model", checkpoints, about)
    if isinstance(data, BagDataModule) and not data.redraw_bags and data.bags.path is not None:
        bags = data.bags
        facts = {"protocol": bags.settings.protocol, "n_bags": len(bags), "n_members": bags.n_members, **hashes}
        logger.log_files(f"bags-{bags.hash[:12]}", "bags", [data.bags.path], facts)
