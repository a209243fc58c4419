"""The loading benchmark on a handful of images."""

import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmarks"


@pytest.fixture
def loading(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    threads = cv2.getNumThreads()
    yield importlib.import_module("loading")
    cv2.setNumThreads(threads)


def test_prints_tables_and_one_json_object(loading, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["loading.py", "--images", "16", "--turns", "1"])
    loading.main()
    *tables, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    assert set(found) == {"decode_ratio", "tar_ratio"}
    assert 0 < found["decode_ratio"] < 1.5
    assert sum(line.startswith("| 144 x 288") or line.startswith("| 64 x 128") for line in tables) == 3


def test_floor_and_both_sources_see_the_same_images(loading, tmp_path):
    data = loading.white_noise(16, 256, 128)
    case = loading.prepared("noise", data, tmp_path)
    plain = loading.TrainTransform(256, 128, loading.AugmentSettings(pad=0, flip=0, erasing=0))
    plan = loading.plans_of(case.files, 1)[0]
    files, tar = (loading.BagDataset(manifest, plain)[plan].images[0] for manifest in (case.files, case.tar))
    assert torch.equal(files, tar)
    floor = torch.stack(loading.floor(data, plan.row.tolist())).flip(1)  # BGR -> RGB
    assert torch.equal(files, floor)
    assert len(np.unique([len(d) for d in data])) > 1


def test_ratio_is_the_median_over_turns(loading):
    speed = loading.Speed({"a": [1.0, 2.0, 4.0], "b": [2.0, 1.0, 12.0]})
    assert speed.ratio("a", "b") == 2.0
    assert speed.rate("a") == 0.5
