import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from wsreid.study.records import NUMBERS, PERCENTAGES, TEXTS, RunRecord
from wsreid.study.study_file import read_study
from wsreid.tracking.identity_sums import IdentitySums


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the configurations of three methods in `configs`."""
    monkeypatch.chdir(tmp_path)
    configs = tmp_path / "configs"
    configs.mkdir()
    for name, cls in (("bagce", "BagCE"), ("oracle", "Oracle"), ("dgl_official", "DGL")):
        content = {"model": {"class_path": cls, "init_args": {"lr": 0.1}}, "trainer": {"max_epochs": 2}}
        (configs / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest.fixture
def write_study(folder):
    """Writes a study file and gives its path; None as a value takes a key out."""

    def write(**changes):
        content = {
            "name": "s",
            "configs": "configs",
            "methods": ["oracle", "bagce", "dgl_official"],
            "seeds": [0, 1],
            "settings": {"n2": {"data.n": 2, "x": 2}, "n4": {"data.n": 4, "x": 4}},
            "baseline": "BagCE",
            "oracle": "Oracle",
            "reference": "BagCE",
        }
        content |= changes
        path = folder / "s.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
        return path

    return write


@pytest.fixture
def study(write_study):
    return read_study(write_study())


@pytest.fixture
def make_record():
    """Makes a record whose mAP is that of its identities' sums."""

    def make(label="BagCE", setting="n2", seed=0, ap=(0.5, 1.0), digest="h", **numbers):
        sums = IdentitySums(tuple(range(len(ap))), (2.0,) * len(ap), tuple(2 * a for a in ap), (1.0,) * len(ap))
        found = dict.fromkeys(NUMBERS) | dict.fromkeys(PERCENTAGES, 50.0)
        found |= {
            "mAP_step": 100 * sum(ap) / len(ap),
            "total_seconds": 20.0,
            "peak_mib": 900.0,
            "images": 64,
            **numbers,
        }
        texts = dict.fromkeys(TEXTS, "t") | {"learns_from": "true identities" if label == "Oracle" else "bag labels"}
        return RunRecord(setting, label, label, seed, digest, label == "Oracle", 1, found, texts, sums)

    return make


@pytest.fixture
def recorded(make_record):
    """Records of runs as a study plans them."""

    def records(runs, **numbers):
        made = (make_record(run.label, run.setting, run.seed, digest=run.hash, **numbers) for run in runs)
        return {record.key: record for record in made}

    return records


def with_texts(record, **texts):
    return replace(record, texts={**record.texts, **texts})


def write_finished(folder: Path, seed: int = 0, ap: float = 0.25) -> None:
    """Writes what a run leaves in its folder, as far as a study reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    row = dict.fromkeys(PERCENTAGES, 0.5) | {"mAP_step": ap, "refine_raw": None, "seconds": 3.5}
    results = {
        "rows": [row],
        "method": "BagCE",
        "hashes": {"data": "d" * 64, "bags": "b" * 64},
        "used_truth": False,
        "seed": seed,
        "versions": {"wsreid": "1", "torch": "2"},
        "git_commit": "abc",
    }
    (folder / "results.json").write_text(json.dumps(results))
    sums = {"pid": [3, 5], "queries": [1, 3], "ap": [ap, 3 * ap], "hits": [1, 0]}
    (folder / "study.json").write_text(
        json.dumps({"steps": 4, "images": 64, "needs": "ema", "learns_from": "bag labels", "identities": sums})
    )
