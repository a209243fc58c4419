import json
import os
import shlex

import numpy as np
import pytest
import yaml

from tests.tracking.run_folders import change_results, make_config, make_result, write_run
from wsreid.errors import DataError
from wsreid.tracking.recorded_run import read_run
from wsreid.tracking.scored_run import scored_run


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "a", make_result([[0, 3], [1], [2]], pids=[4, 4, 7]))


def change_row(folder, **changes):
    rows = json.loads((folder / "results.json").read_text())["rows"]
    change_results(folder, rows=[rows[0] | changes])


def test_figures_are_in_percent_and_seconds_in_seconds(folder):
    found = scored_run(read_run(folder))
    assert found.numbers["mAP_step"] == pytest.approx(100 * (0.75 + 0.5 + 1 / 3) / 3)
    assert found.numbers["seconds"] == 60
    assert found.numbers["refine_raw"] is None
    assert found.sums.pid == (4, 7)


def test_terms_say_what_the_figures_mean(folder):
    terms = scored_run(read_run(folder)).terms
    assert terms["data hash"] == "d" * 12
    assert terms["bags hash"] == "b" * 12
    assert (terms["metric"], terms["ap"], terms["junk"]) == ("cosine", "both kinds", "same camera")
    assert (terms["n_query"], terms["n_gallery"], terms["test split"]) == ("3", "50", "whole")
    assert not {"headline", "lists", "data"} & set(terms)


def test_a_part_of_the_test_split_is_told(folder):
    for limit, part in ((3, "a part"), (1, "a part"), (1.0, "whole"), (0.5, "a part"), (None, "whole")):
        config = make_config()
        config["trainer"]["limit_test_batches"] = limit
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        assert scored_run(read_run(folder)).terms["test split"] == part, limit


def test_without_hashes_the_name_of_the_data_is_a_term(folder):
    change_results(folder, hashes={})
    terms = scored_run(read_run(folder)).terms
    assert (terms["data"], terms["data hash"], terms["bags hash"]) == ("synthetic", "not known", "not known")


def test_queries_are_named_by_identity_and_number(tmp_path, folder):
    own = scored_run(read_run(folder)).queries
    same = scored_run(read_run(write_run(tmp_path / "b", make_result([[9], [5, 8], [7]], pids=[4, 4, 7])))).queries
    other = scored_run(read_run(write_run(tmp_path / "c", make_result([[9], [5, 8], [7]], pids=[4, 7, 7])))).queries
    assert own == same != other


def test_without_ranks_there_are_figures_alone(folder):
    (folder / "retrieval.npz").unlink()
    found = scored_run(read_run(folder))
    assert found.sums is found.queries is None
    assert found.numbers["R1"] is not None


def test_an_unfinished_run_says_why_and_how_to_go_on(tmp_path):
    path = write_run(tmp_path / "it's a run")
    with pytest.raises(DataError, match=r"not finished: there is no results\.json, nor a checkpoint"):
        scored_run(read_run(path))
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(DataError, match=r"not finished.*go on with it: ") as error:
        scored_run(read_run(path))
    words = shlex.split(str(error.value).split("go on with it: ")[1])
    assert words[3:] == ["fit", "--config", str(path / "config.yaml"), "--run", str(path), "--ckpt_path", "last"]
    (path / "owner.json").write_text(json.dumps({"pid": os.getpid()}))
    with pytest.raises(DataError, match="it is running, or was killed"):
        scored_run(read_run(path))


def test_results_of_before_a_resume_are_not_taken_for_those_after_it(folder):
    (folder / "config-resume.yaml").write_text(yaml.safe_dump(make_config(lr=1)))
    with pytest.raises(DataError, match="resumed after its test, and not finished since"):
        scored_run(read_run(folder))
    metrics = folder / "metrics.csv"
    metrics.write_text("epoch,step,train/loss,test/mAP_step\n0,1,2.5,\n1,2,,0.5\n")
    assert scored_run(read_run(folder)).numbers["R1"] is not None


@pytest.mark.parametrize("value", ["x", True, float("nan"), [1]])
def test_what_is_no_number_is_damage(folder, value):
    change_row(folder, R1=value)
    with pytest.raises(DataError, match=r"results\.json is damaged .* is no number"):
        scored_run(read_run(folder))


def test_a_run_without_retrieval_figures_is_told(folder):
    change_row(folder, mAP_step=None)
    with pytest.raises(DataError, match="holds no retrieval figures"):
        scored_run(read_run(folder))


def test_figures_and_ranks_of_two_tests_are_not_mixed(folder):
    make_result([[0], [1], [5]]).save(folder / "retrieval.npz")
    with pytest.raises(DataError, match=r"results\.json says .* and retrieval\.npz .* not of one test"):
        scored_run(read_run(folder))


def test_damaged_ranks_are_told(folder):
    (folder / "retrieval.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"retrieval\.npz"):
        scored_run(read_run(folder))


def test_misses_that_count_are_in_the_sums(tmp_path):
    result = make_result([[0], [], [1]], pids=[1, 1, 2], unmatched="missed")
    found = scored_run(read_run(write_run(tmp_path / "a", result)))
    assert sum(found.sums.queries) == 3
    assert found.numbers["mAP_step"] == pytest.approx(100 * np.mean([1, 0, 0.5]))
