"""The methods' benchmark on a handful of images."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from wsreid.data.needs import Needs
from wsreid.methods import BagCE, MeanTeacher

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("methods")


def test_every_method_has_a_row(bench, capsys):
    result = bench.main(["--tiny", "--device", "cpu"])
    *lines, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == result
    names = [row["method"] for row in result["rows"]]
    assert names == sorted(names)
    assert {"BagCE", "DGL", "Oracle", "OracleBag", "Sinkhorn", "MeanTeacher", "ClusterContrast"} <= set(names)
    assert sum(line.startswith("| ") for line in lines) == 1 + len(names)
    assert all(row["ratio"] > 0 and row["ms"] > 0 for row in result["rows"])
    of = {row["method"]: row for row in result["rows"]}
    assert abs(of["BagCE"]["extra_mb"]) < 0.01
    assert of["MeanTeacher"]["extra_mb"] > 0
    assert "second view" in of["MeanTeacher"]["by_definition"]
    assert of["RC"]["by_definition"] == "second forward pass"
    assert of["PRODEN"]["by_definition"] == ""
    assert "2 views" in of["MeanTeacher"]["needs"]
    assert of["PRODEN"]["needs"] == "member table"


def test_a_step_changes_the_weights_and_the_peak_is_that_of_its_tensors(bench):
    size = bench.Size(classes=60, bags=4, per_bag=4, candidates=3, height=32, width=16)
    plain = bench.Stepper(BagCE, size, "test_resnet", torch.device("cpu"))
    before = plain.method.classifiers[0].weight.clone()
    plain.step()
    assert not torch.equal(before, plain.method.classifiers[0].weight)
    weights = sum(p.numel() * p.element_size() for p in plain.method.parameters())
    assert plain.bytes() > 4 * weights  # weights, their gradients, and Adam's two averages
    teacher = bench.Stepper(MeanTeacher, size, "test_resnet", torch.device("cpu"))
    teacher.step()
    assert teacher.bytes() - plain.bytes() > 0.9 * weights


def test_bags_in_pairs_share_a_candidate(bench):
    batch = bench.batch_of(bench.Size(classes=60, bags=4, per_bag=6, candidates=3), Needs(), 3)
    sets = [set(own.tolist()) for own in batch.candidates]
    assert sets[0] & sets[1]
    assert sets[2] & sets[3]
    assert not sets[1] & sets[2]
    assert all(int(i) in sets[int(b)] for i, b in zip(batch.truth.ids, batch.bag, strict=True))
