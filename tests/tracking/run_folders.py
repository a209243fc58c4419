"""Run folders made by hand, as a fit leaves them behind."""

import json

import numpy as np
import yaml

from wsreid.retrieval.result import RetrievalResult
from wsreid.tracking.result_table import ResultRow, write_results

DEFINITION = {
    "metric": "cosine",
    "ap": "both kinds",
    "ties": "mid",
    "protocol": "market1501",
    "junk": "same camera",
    "unmatched": "left_out",
    "n_gallery": 50,
}


def make_config(method="BagCE", seed=0, **options):
    """A resolved configuration; `options` are the method's."""
    return {
        "seed_everything": seed,
        "run": None,
        "model": {"class_path": f"wsreid.methods.{method}", "init_args": {"lr": 0.1, **options}},
        "data": {"class_path": "BagDataModule", "init_args": {"height": 32}},
        "trainer": {"max_epochs": 2},
    }


def make_result(ranks, pids=None, **definition):
    """A result of these 0-based ranks of each query's matches."""
    return RetrievalResult.of_ranks(
        [np.array(each, dtype=float) for each in ranks],
        n_tied=0,
        max_rank=50,
        query_row=np.arange(len(ranks)),
        query_pid=np.arange(len(ranks)) if pids is None else np.array(pids),
        definition={**DEFINITION, **definition},
    )


def write_run(folder, result=None, *, method="BagCE", seed=0, data="d" * 64, bags="b" * 64, options=None, **about):
    """Writes a run folder, finished where there is a result; returns it.

    `about` goes into results.json, beside and over what a fit writes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = make_config(method, seed, **(options or {}))
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "metrics.csv").write_text("epoch,step,train/loss,val/mAP_step\n0,1,2.5,\n0,2,,0.25\n1,4,2.0,0.5\n")
    if result is None:
        return folder
    result.save(folder / "retrieval.npz")
    facts = {
        "method": method,
        "data": "synthetic",
        "hashes": {"data": data, "bags": bags},
        "used_truth": method.startswith("Oracle"),
        "learns_from": "true identities" if method.startswith("Oracle") else "bag labels",
        "labelled_val_ids": 0,
        "notes": [],
        "seed": seed,
        "versions": {"wsreid": "1", "torch": "2"},
        "git_commit": "abc",
    }
    row = ResultRow(f"{method}, last checkpoint", result, seconds=60.0)
    definition = {**result.definition, "n_query": result.n_query}
    write_results(folder / "results.json", [row], about=facts | about, definition=definition)
    return folder


def change_results(folder, **changes):
    """Changes keys of a results.json."""
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
