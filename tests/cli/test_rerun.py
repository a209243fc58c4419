"""A run that is done again finds the same numbers, with any number of workers; what differs is told."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from wsreid.cli import main
from wsreid.errors import ConfigError, DataError
from wsreid.tracking.provenance import read_provenance
from wsreid.tracking.recorded_run import read_run
from wsreid.tracking.repeated_run import differences


@pytest.fixture(scope="module")
def finished(tmp_path_factory, market_root):
    """A run of two epochs whose images two workers have read; the folder."""
    run = tmp_path_factory.mktemp("rerun") / "run"
    config = run.parent / "my.yaml"
    settings = {
        "seed_everything": 3,
        "model": {"class_path": "DGL", "init_args": {"backbone": "test_resnet"}},
        "data": {"root": str(market_root), "height": 32, "width": 16, "val_fraction": 0.34, "bags_per_batch": 2},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False},
        "pictures": {"queries": 0},
    }
    settings["data"]["num_workers"] = 2
    config.write_text(yaml.safe_dump(settings))
    main(["fit", "--config", str(config), "--run", str(run)])
    return run


@pytest.fixture(scope="module")
def again(finished):
    """The same, done again without workers; what the command has found."""
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["data"]["init_args"]["num_workers"] == 2
    config["data"]["init_args"]["num_workers"] = 0
    (finished / "config.yaml").write_text(yaml.safe_dump(config))
    return main(["rerun", str(finished)])


def test_a_run_records_what_it_needs_to_be_repeated(finished):
    facts = read_provenance(finished)
    assert set(facts) == {"command", "versions", "git_commit", "hashes", "threads", "processor", "gpu"}
    assert facts["command"] == "fit"
    assert facts["threads"] == torch.get_num_threads()
    assert facts["hashes"] == read_run(finished).hashes
    assert read_run(finished).config["seed_everything"] == 3


def test_the_same_numbers_with_another_number_of_workers(finished, again):
    assert again.path == finished.with_name("run-rerun")
    assert again.results == []
    weights = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (finished, again.path)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert len(read_run(again.path).metrics) > 2


def test_another_seed_is_told_with_code_1(finished, again, tmp_path, capsys):
    run = shutil.copytree(finished, tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text()) | {"seed_everything": 4}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    facts = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(facts | {"versions": facts["versions"] | {"torch": "0.1"}}))
    with pytest.raises(SystemExit) as ended:
        main(["rerun", str(run), "--out", str(tmp_path / "out")])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "differ." in told
    assert 0 < told.index("0.1") < told.index("train/loss, epoch 0")
    assert differences(read_run(finished), read_run(tmp_path / "out"))


def test_what_cannot_be_repeated_is_told(finished, tmp_path):
    with pytest.raises(ConfigError, match=r"run is there already.*--out DIR"):
        main(["rerun", str(finished), "--out", str(finished)])
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(DataError, match="no run folder"):
        main(["rerun", str(run)])
    shutil.copy(finished / "config.yaml", run)
    with pytest.raises(DataError, match="no curve in it"):
        main(["rerun", str(run)])
    (run / "provenance.json").write_text('{"command": "test"}')
    with pytest.raises(ConfigError, match="is a test: name the folder of the fit"):
        main(["rerun", str(run)])
    (run / "provenance.json").write_text("[]")
    with pytest.raises(DataError, match=r"provenance\.json: damaged"):
        main(["rerun", str(run)])
    with pytest.raises(ConfigError, match="--ot"):
        main(["rerun", str(run), "--ot", "x"])


def test_help_answers_without_torch():
    code = "import sys\nfrom wsreid.cli import main\ntry: main(['rerun', '--help'])\n"
    code += "finally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Exit code 1" in " ".join(done.stdout.split())
    assert done.stdout.endswith("False\n")
