"""A trained run on a tiny data set, and copies of it that differ in what a test needs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from tests.conftest import write_image
from wsreid.cli import main
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import summary


@pytest.fixture(scope="session")
def market(tmp_path_factory):
    """A folder laid out like Market-1501: 6 training and 4 test identities under 2 cameras, 4 distractors."""
    root = tmp_path_factory.mktemp("market")
    names = [
        *(("bounding_box_train", pid, frame) for pid in range(1, 7) for frame in (1, 2)),
        *(("query", pid, 1) for pid in range(101, 105)),
        *(("bounding_box_test", pid, frame) for pid in (0, *range(101, 105)) for frame in (2, 3)),
    ]
    for seed, (folder, pid, frame) in enumerate(names):
        for camera in (1, 2):
            write_image(root / folder / f"{pid:04d}_c{camera}s1_{frame:06d}_00.jpg", 2 * seed + camera)
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory, market):
    """A run folder, as `fit` leaves it."""
    run = tmp_path_factory.mktemp("trained") / "run"
    options = {
        "model": "BagCE",
        "model.backbone": "test_resnet",
        "data.root": market,
        "data.height": 32,
        "data.width": 16,
        "data.val_fraction": 0.34,
        "data.bags_per_batch": 2,
        "trainer.max_epochs": 2,
        "trainer.accelerator": "cpu",
        "trainer.enable_model_summary": "false",
        "trainer.enable_progress_bar": "false",
        "pictures.queries": 0,
        "wandb.mode": "disabled",
        "run": run,
    }
    main(["fit", *(str(word) for name, value in options.items() for word in (f"--{name}", value))])
    return run


@pytest.fixture(scope="session")
def copy_run(trained):
    """Copies the run under another name, as if it were of another seed, method or bag size; returns the folder."""

    def copy(folder, *, seed=0, ids_per_bag=2, class_path=None, worse=False):
        shutil.copytree(trained, folder)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["seed_everything"] = seed
        config["data"]["init_args"]["bags"]["ids_per_bag"] = ids_per_bag
        results = json.loads((folder / "results.json").read_text())
        results["seed"] = seed
        if class_path is not None:
            config["model"]["class_path"] = class_path
            results["method"] = class_path.rpartition(".")[2]
        if worse:
            found = RetrievalResult.load(folder / "retrieval.npz")
            late = RetrievalResult.of_ranks(
                [ranks + 1 for ranks in found.ranks],
                n_tied=0,
                max_rank=50,
                query_row=found.query_row,
                query_pid=found.query_pid,
                definition=found.definition,
            )
            replace(late, topk=np.ascontiguousarray(found.topk[:, ::-1])).save(folder / "retrieval.npz")
            results["rows"][0] |= summary(late)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "results.json").write_text(json.dumps(results))
        return folder

    return copy
