"""The rendered set is hard for pixels and for an untrained network, and solved by full supervision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.experiments.test_configs import EXPERIMENTS
from wsreid.cli import main
from wsreid.data import BagDataModule
from wsreid.retrieval import evaluate


@pytest.mark.slow  # two to four minutes of training
def test_the_oracle_solves_it_and_neither_pixels_nor_the_untrained_network_do(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    try:
        config = ["--config", str(EXPERIMENTS / "synthetic" / "oracle.yaml"), "--run", str(tmp_path / "run")]
        cli = main(["fit", *config, "--wandb.mode", "disabled", "--trainer.enable_progress_bar", "false"])
    finally:
        torch.set_num_threads(1)
    trained, untrained = (row.figures()["R1"] for row in cli.results)
    assert trained is not None
    assert untrained is not None
    assert trained > 0.90
    assert untrained < 0.25


def test_raw_pixels_do_not_solve_it() -> None:
    data = BagDataModule(height=128, width=64, eval_batch_size=512)
    features, pid, camera = ([[], []] for _ in range(3))
    for side, loader in enumerate(data.test_dataloader()):
        for batch in loader:
            features[side].append(batch.images.flatten(1).float())  # (N, 3, H, W) -> (N, 3 H W)
            pid[side].append(batch.pid)
            camera[side].append(batch.camera)
    query, gallery = (torch.cat(parts) for parts in features)
    (q_pid, g_pid), (q_cam, g_cam) = (tuple(np.concatenate(parts) for parts in values) for values in (pid, camera))
    result = evaluate(query, gallery, q_pid=q_pid, g_pid=g_pid, q_cam=q_cam, g_cam=g_cam)
    assert 0.05 < result.cmc[0] < 0.25
