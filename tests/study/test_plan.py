import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from wsreid.class_paths import granted
from wsreid.study.plan import planned_runs, run_hash, start_run, todo
from wsreid.study.study_file import read_study


def test_each_seed_goes_through_all_methods_before_the_next(study, folder):
    runs = planned_runs(study, folder / "out")
    expected = [
        (seed, setting, label)
        for seed in (0, 1)
        for setting in ("n2", "n4")
        for label in ("Oracle", "BagCE", "dgl_official")
    ]
    assert [(run.seed, run.setting, run.label) for run in runs] == expected
    assert len({run.folder for run in runs}) == len(runs)
    first = runs[0]
    assert first.folder == folder / "out" / "s" / "n2" / "Oracle" / f"seed0-{first.hash}"
    assert first.log.parent == first.cost_file.parent == first.folder.parent
    assert first.key == ("n2", "Oracle", "0")


def test_the_more_special_option_wins(write_study, folder):
    (folder / "best.yaml").write_text("BagCE: {c: tuned, d: tuned}")
    methods = [{"method": "bagce", "label": "BagCE", "options": {"d": "method"}}]
    settings = {"w": {"b": "setting", "c": "setting", "d": "setting"}}
    options = dict.fromkeys("abcd", "study")
    changes = {"methods": methods, "settings": settings, "options": options, "tuned": "best.yaml", "oracle": None}
    run = planned_runs(read_study(write_study(**changes)), folder)[0]
    assert dict(run.options) == {"a": "study", "b": "setting", "c": "tuned", "d": "method"}


def test_the_hash_is_of_what_is_run():
    config = {"model": {"class_path": "A", "lr": 0.1}, "trainer": {"max_epochs": 2}}
    digest = run_hash(config, {"a": 1, "b": 2}, 0)
    assert digest == run_hash({"trainer": config["trainer"], "model": config["model"]}, {"b": 2, "a": 1}, 0)
    others = [
        run_hash({**config, "trainer": {"max_epochs": 3}}, {"a": 1, "b": 2}, 0),
        run_hash(config, {"a": 1, "b": 3}, 0),
        run_hash(config, {"a": 1, "b": 2}, 1),
        run_hash(config, {"a": 1}, 0),
    ]
    assert len({digest, *others}) == 5


def test_comments_and_folders_do_not_change_a_hash_but_content_does(write_study, folder):
    def digest(out="out"):
        return planned_runs(read_study(write_study()), folder / out)[1].hash

    before = digest()
    path = folder / "configs" / "bagce.yaml"
    path.write_text("# another comment\n" + path.read_text())
    assert digest("elsewhere") == before
    path.write_text(path.read_text().replace("0.1", "0.2"))
    assert digest() != before


def test_the_command_is_a_fit_into_its_folder(study, folder):
    run = planned_runs(study, folder)[0]
    words = run.command()
    assert words[:4] == [sys.executable, "-m", "wsreid", "fit"]
    assert words[4:10] == [
        *("--config", "configs/oracle.yaml", "--run", str(run.folder)),
        *("--seed_everything", "0"),
    ]
    assert "--data.n=2" in words
    assert run.command(resume=True) == [*words, "--ckpt_path", "last"]


def test_the_printed_command_is_the_one_that_is_run(study, folder, monkeypatch):
    monkeypatch.delenv("WSREID_ALLOW", raising=False)
    run = planned_runs(study, folder)[0]
    assert shlex.split(run.shown()) == ["python", *run.command()[1:]]
    assert shlex.split(run.shown(resume=True)) == ["python", *run.command(resume=True)[1:]]
    with granted(["my_weak", "other"]):
        words = shlex.split(run.shown())
    assert words == ["python", *run.command()[1:], "--allow", "my_weak", "--allow", "other"]
    spaced = replace(run, config=Path("my configs/oracle.yaml")).shown()
    assert spaced.startswith("python -m wsreid fit --config 'my configs/oracle.yaml' --run")


@pytest.mark.parametrize(
    ("files", "recorded", "expected"),
    [
        ((), None, "new"),
        (("config.yaml",), None, "new"),
        (("checkpoints/last.ckpt",), None, "resume"),
        (("checkpoints/last.ckpt", "results.json"), None, "finished"),
        ((), "same", "done"),
        ((), "other", "new"),
        (("checkpoints/last.ckpt",), "other", "resume"),
    ],
)
def test_what_is_left_to_do(study, folder, files, recorded, expected):
    run = planned_runs(study, folder)[0]
    for name in files:
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).touch()
    records = {} if recorded is None else {run.key: run.hash if recorded == "same" else "0"}
    assert todo(run, records) == expected


def test_all_runs_start_from_the_weights_of_one_and_their_hash_knows_it(write_study, folder):
    plain = planned_runs(read_study(write_study()), folder)[1]
    given = {"config": str(folder / "configs" / "oracle.yaml"), "options": {"trainer.max_epochs": 3}}
    study = read_study(write_study(start=given))
    first = start_run(study, folder)
    begun = planned_runs(study, folder)[1]
    assert first.folder.parent == folder / "start"
    assert "--trainer.max_epochs=3" in first.command()
    assert f"--model.weights={first.folder / 'checkpoints' / 'last.ckpt'}" in begun.command()
    assert begun.hash != plain.hash
    assert planned_runs(study, folder / "elsewhere")[1].hash == begun.hash
    longer = read_study(write_study(start={**given, "options": {"trainer.max_epochs": 4}}))
    assert planned_runs(longer, folder)[1].hash != begun.hash


def test_without_a_start_there_is_no_first_run(study, folder):
    assert start_run(study, folder) is None
