import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from tests.tracking.run_folders import change_results, make_config, make_result, write_run
from wsreid.errors import DataError, FeatureError
from wsreid.tracking import recorded_run
from wsreid.tracking.recorded_run import find_runs, read_run


@pytest.fixture
def finished(tmp_path):
    return write_run(tmp_path / "a", make_result([[0, 3], [1]]), method="Oracle", seed=3)


def test_a_finished_run_is_read(finished):
    run = read_run(finished)
    assert run.finished
    assert (run.method, run.data, run.seed, run.used_truth) == ("Oracle", "synthetic", 3, True)
    assert run.hashes == {"data": "d" * 64, "bags": "b" * 64}
    assert (run.definition["junk"], run.definition["n_query"]) == ("same camera", 2)
    assert run.figures["R1"] == 0.5
    assert run.figures["refine_raw"] is None
    assert run.config["model"]["init_args"] == {"lr": 0.1}
    assert run.begun_with is None
    assert run.retrieval.map_step == run.figures["mAP_step"] == np.mean([(1 + 2 / 4) / 2, 1 / 2])


def test_a_run_that_has_not_finished_is_read_as_far_as_it_got(tmp_path):
    run = read_run(write_run(tmp_path / "a", method="DGL", seed=2))
    assert not run.finished
    assert (run.method, run.data, run.seed, run.used_truth) == ("DGL", "?", 2, False)
    assert run.figures == run.hashes == run.definition == {}
    assert run.retrieval is None
    assert len(run.metrics) == 3


def test_the_hashes_of_a_run_that_has_not_finished_are_those_it_began_with(tmp_path, finished):
    begun = write_run(tmp_path / "b", method="DGL", seed=2)
    assert read_run(begun).hashes == {}
    began = {"versions": {}, "hashes": {"data": "d1", "bags": "b1"}}
    for folder in (begun, finished):
        (folder / "provenance.json").write_text(json.dumps(began))
    assert read_run(begun).hashes == {"data": "d1", "bags": "b1"}
    assert read_run(finished).hashes != read_run(begun).hashes


def test_what_a_method_learns_from_is_not_guessed(finished):
    assert read_run(finished).learns_from == "true identities"
    change_results(finished, learns_from="no labels")
    assert read_run(finished).learns_from == "no labels"
    change_results(finished, learns_from=None)
    assert read_run(finished).learns_from == "true identities"
    change_results(finished, used_truth=False)
    assert read_run(finished).learns_from == "not recorded"


def test_a_resumed_run_has_the_configuration_of_its_resume(finished):
    (finished / "config-resume.yaml").write_text(yaml.safe_dump(make_config("Oracle", 3, lr=0.5)))
    run = read_run(finished)
    assert run.config["model"]["init_args"]["lr"] == 0.5
    assert run.begun_with["model"]["init_args"]["lr"] == 0.1


def test_a_curve_has_the_last_value_of_each_epoch(finished):
    (finished / "metrics.csv").write_text("epoch,step,a,b\n0,1,1.5,\n0,2,2.5,\n0,3,,7\n1,4,,8\n2,5,4.5,\n")
    run = read_run(finished)
    assert run.curve("a").to_dict("list") == {"epoch": [0, 2], "step": [2, 5], "value": [2.5, 4.5]}
    assert run.curve("b")["value"].tolist() == [7, 8]
    nothing = run.curve("never")
    assert nothing.columns.tolist() == ["epoch", "step", "value"]
    assert nothing.empty


def test_a_line_that_a_crash_cut_short_is_left_out(finished):
    path = finished / "metrics.csv"
    path.write_text(path.read_text() + "2,6,1.")
    assert read_run(finished).metrics["step"].tolist() == [1, 2, 4]
    path.write_text("epoch,st")
    assert read_run(finished).metrics.empty
    path.unlink()
    assert read_run(finished).metrics.empty
    assert read_run(finished).curve("train/loss").empty


def test_diagnostics_keep_their_words(finished):
    assert read_run(finished).diagnostics.empty
    (finished / "diagnostics.csv").write_text("epoch,group,raw,confused_pairs\n0,all,0.5,3>4:7\n0,cameras 1,,\n")
    table = read_run(finished).diagnostics
    assert table["group"].tolist() == ["all", "cameras 1"]
    assert table["confused_pairs"][0] == "3>4:7"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"epoch,step,a\n0,1,2\n0,2,oops\n", "a holds what is no number"),
        (b"step,a\n1,2\n", "epoch or step is missing"),
        (b"epoch,step,a\n0,1,2,3,4\n0,1\n0,1,2,3,4,5,6\n", "cannot be read as a table"),
        (b"epoch,step\n\xff\xfe\n", "cannot be read as a table"),
    ],
)
def test_damaged_metrics_are_refused(finished, text, told):
    (finished / "metrics.csv").write_bytes(text)
    with pytest.raises(DataError, match=rf"metrics\.csv.*{told}"):
        _ = read_run(finished).metrics


def test_damaged_diagnostics_are_refused(finished):
    (finished / "diagnostics.csv").write_text("epoch,raw\n0,1\n")
    with pytest.raises(DataError, match=r"diagnostics\.csv: damaged: epoch or group is missing"):
        _ = read_run(finished).diagnostics


def test_a_damaged_retrieval_result_is_refused(finished):
    path = finished / "retrieval.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FeatureError, match=r"retrieval\.npz"):
        _ = read_run(finished).retrieval


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "cannot be read .* Take it from a copy"),
        ("[1, 2]", "no names and values"),
        ("model: 3", "model is not a method"),
        ("data: words", "data is not a data set"),
        ("seed_everything: null", "seed_everything is not one"),
    ],
)
def test_a_file_of_this_name_that_is_no_configuration_is_refused(tmp_path, text, told):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"config\.yaml.*{told}"):
        read_run(tmp_path)


def test_a_folder_without_a_configuration_is_no_run(tmp_path):
    with pytest.raises(DataError, match=r"there is no config\.yaml"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rows": []}, "no rows"),
        ({"rows": [3]}, "see rows"),
        ({"hashes": None}, "see hashes"),
        ({"definition": "x"}, "see definition"),
        ({"seed": "x"}, "see seed"),
    ],
)
def test_damaged_results_are_refused(finished, change, told):
    change_results(finished, **change)
    with pytest.raises(DataError, match=rf"results\.json.*{told}"):
        read_run(finished)


def test_control_characters_of_names_are_replaced(finished):
    definition = {"junk\x00": "same\rcamera"}
    change_results(finished, method="A\n| B\x1b[2J\x9b", data="d\td\u2028d", definition=definition, seed=4)
    run = read_run(finished)
    assert (run.method, run.data, run.seed) == ("A | B\ufffd[2J\ufffd", "d d d", 4)
    assert run.definition == {"junk\ufffd": "same camera"}
    (finished / "results.json").unlink()
    (finished / "config.yaml").write_text(yaml.safe_dump(make_config("Bag\x1bCE\n")))
    assert read_run(finished).method == "Bag\ufffdCE "


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_results_that_are_cut_short_are_refused(finished, text):
    (finished / "results.json").write_text(text)
    with pytest.raises(DataError, match=r"results\.json"):
        read_run(finished)


def test_runs_are_found_at_any_depth_and_once(tmp_path):
    a, b = (write_run(tmp_path / "runs" / name) for name in ("z/a", "b"))
    write_run(b / "test-last")
    write_run(tmp_path / "runs" / ".hidden")
    (tmp_path / "runs" / "link").symlink_to(a)
    (tmp_path / "runs" / "notes.txt").touch()
    assert find_runs([tmp_path / "runs"]) == [b, a]
    assert find_runs([a, tmp_path / "runs", tmp_path / "runs" / "z" / ".." / "b"]) == [a, b]
    assert find_runs([b / "test-last"]) == [b / "test-last"]


def test_what_is_left_of_a_run_without_its_configuration_is_found_and_so_are_runs_below(tmp_path):
    whole = write_run(tmp_path / "a" / "whole")
    for name, file in (("b", "results.json"), ("c", "retrieval.npz"), ("d", "checkpoints/epoch=1.ckpt")):
        (tmp_path / name / file).parent.mkdir(parents=True)
        (tmp_path / name / file).touch()
    (tmp_path / "e" / "checkpoints").mkdir(parents=True)
    (tmp_path / "a" / "results.json").touch()
    assert find_runs([tmp_path]) == [tmp_path / "a", whole, tmp_path / "b", tmp_path / "c", tmp_path / "d"]


def test_what_holds_no_run_is_told(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        find_runs([tmp_path / "missing"])
    with pytest.raises(DataError, match="no run in it"):
        find_runs([tmp_path])
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="no run in it"):
        find_runs([tmp_path / "file"])


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(recorded_run, "_below", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        find_runs([tmp_path])


def test_the_names_of_the_files_are_those_that_a_run_writes():
    from wsreid.methods.diagnostics_file import DIAGNOSTICS_FILE
    from wsreid.retrieval.callback import FILES
    from wsreid.tracking.csv_logger import METRICS_FILE

    assert recorded_run.METRICS_FILE == METRICS_FILE
    assert recorded_run.DIAGNOSTICS_FILE == DIAGNOSTICS_FILE
    assert FILES["test"] == recorded_run.RETRIEVAL_FILE


def test_a_run_is_read_without_lightning(finished):
    code = (
        "import sys, json, pathlib; from wsreid.tracking.recorded_run import read_run; "
        "run = read_run(pathlib.Path(sys.argv[1])); run.metrics; run.retrieval; print(json.dumps(sorted(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code, finished], check=True, capture_output=True, text=True)
    assert not {"lightning", "timm", "wandb", "faiss"} & set(json.loads(found.stdout))
