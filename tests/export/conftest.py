"""A finished run to export."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsreid.cli import main

TINY = [
    *("--model", "BagCE", "--model.backbone", "test_resnet", "--model.pooling", "gem", "--model.flip_test", "true"),
    *("--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"),
    *("--data.height", "32", "--data.width", "16", "--data.bags_per_batch", "2", "--data.images_per_bag", "4"),
    *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.accelerator", "cpu"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
    *("--wandb.mode", "disabled", "--pictures.queries", "0"),
]


@pytest.fixture(scope="session")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder."""
    run = tmp_path_factory.mktemp("exportable") / "run"
    main(["fit", *TINY, "--run", str(run)])
    return run
