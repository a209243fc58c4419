"""No file that a user may have been sent runs code: each door through which checkpoints, arrays and YAML enter."""

import json
import shutil

import numpy as np
import pytest
import yaml

import wsreid
from tests.cli.hostile import goes_off, unpickle, unpickle_npz, write_checkpoint, write_npz
from tests.conftest import write_image
from tests.tracking.run_folders import make_result, write_run
from wsreid.cli import main
from wsreid.errors import WsreidError
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.verification_result import VerificationResult


@pytest.fixture
def sentinel(tmp_path):
    return tmp_path / "it_ran"


@pytest.fixture
def bomb(tmp_path, sentinel):
    """A checkpoint that would run code."""
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    write_checkpoint(path, sentinel)
    assert goes_off(path, sentinel, unpickle)
    return path


def refused(words, file):
    """Whether a command ends with one line about a file."""
    with pytest.raises(WsreidError) as caught:
        main([str(word) for word in words])
    assert str(file) in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_ckpt_path(command, bomb, sentinel, run_cli, tmp_path):
    with pytest.raises(WsreidError, match=r"last\.ckpt is damaged, or no checkpoint of a run: .*weights_only=True"):
        run_cli(command, "--run", tmp_path / "new", "--ckpt_path", bomb)
    assert not sentinel.exists()


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "test_resnet"])
def test_weights(bomb, sentinel, run_cli, tmp_path, backbone):
    with pytest.raises(WsreidError, match=r"last\.ckpt hold more than tensors .*could run code"):
        run_cli("fit", "--run", tmp_path / "new", "--model.weights", bomb, "--model.backbone", backbone)
    assert not sentinel.exists()


@pytest.fixture
def run(bomb):
    """A run folder that somebody sent, whose checkpoint would run code."""
    folder = bomb.parents[1]
    write_run(folder, make_result([[0], [3]]), options={"backbone": "test_resnet"})
    return folder


def test_load_run_and_search(run, bomb, sentinel, tmp_path):
    with pytest.raises(WsreidError, match=r"last\.ckpt is damaged"):
        _ = wsreid.load_run(run).method
    write_image(tmp_path / "x.jpg", seed=1)
    refused(["search", "--run", run, "--image", tmp_path / "x.jpg"], bomb)
    assert not sentinel.exists()


def test_compare_and_report_leave_the_checkpoint_alone_or_refuse_it(run, sentinel, tmp_path):
    assert main(["compare", str(run)]).results
    main(["report", str(run), "--out", str(tmp_path / "r.html")])
    assert (tmp_path / "r.html").is_file()
    assert not sentinel.exists()


def test_the_result_of_a_run(run, sentinel, tmp_path):
    file = run / "retrieval.npz"
    with np.load(file) as whole:
        write_npz(file, sentinel, **{**whole, "cmc": None, "ranks": None})
    assert goes_off(file, sentinel, unpickle_npz)
    refused(["compare", run], file)
    with pytest.raises(WsreidError, match="retrieval"):
        RetrievalResult.load(file)
    with pytest.raises(WsreidError, match="retrieval"):
        _ = wsreid.load_run(run).result
    assert not sentinel.exists()


def test_feature_files(sentinel, tmp_path):
    for name in ("features", "pid", "camera"):
        arrays = {"features": np.zeros((1, 2), np.float32), "pid": np.zeros(1, np.int64), "camera": np.zeros(1, int)}
        write_npz(tmp_path / "f.npz", sentinel, **{**arrays, name: None})
        assert goes_off(tmp_path / "f.npz", sentinel, unpickle_npz)
        refused(["evaluate", "--query", tmp_path / "f.npz", "--gallery", tmp_path / "f.npz"], tmp_path / "f.npz")
        assert not sentinel.exists()
    write_npz(tmp_path / "n.npz", sentinel)
    with np.load(tmp_path / "n.npz", allow_pickle=False) as file, pytest.raises(ValueError, match="allow_pickle"):
        _ = file["features"]
    bomb = np.empty(1, dtype=object)
    np.save(tmp_path / "n.npy", bomb, allow_pickle=True)
    (tmp_path / "n.csv").write_text("pid\n1\n")
    with pytest.raises(WsreidError, match="never unpickled"):
        read_features(tmp_path / "n.npy")
    assert not sentinel.exists()


def test_saved_verification(sentinel, tmp_path):
    write_npz(tmp_path / "v.npz", sentinel, format=np.array(1), fpr=None)
    assert goes_off(tmp_path / "v.npz", sentinel, unpickle_npz)
    with pytest.raises(WsreidError, match=r"v\.npz"):
        VerificationResult.load(tmp_path / "v.npz")
    assert not sentinel.exists()


@pytest.mark.parametrize("file", ["config.yaml", "config-resume.yaml"])
def test_the_configuration_of_a_run(run, sentinel, file, tmp_path):
    text = f"a: !!python/object/apply:builtins.open ['{sentinel}', 'w']\n"
    yaml.unsafe_load(text)
    assert sentinel.exists()
    sentinel.unlink()
    (run / file).write_text(text)
    for words in (["compare", run], ["report", run, "--out", tmp_path / "r.html"]):
        refused(words, run / file)
    with pytest.raises(WsreidError, match=r"config.*\.yaml: cannot be read"):
        wsreid.load_run(run)
    assert not sentinel.exists()


def test_what_a_run_says_of_itself_is_text_in_the_report(run, tmp_path):
    script = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    named = run.with_name("<b>run")
    shutil.move(run, named)
    for file, key in (("results.json", "method"), ("results.json", "data"), ("results.json", "git_commit")):
        content = json.loads((named / file).read_text())
        (named / file).write_text(json.dumps(content | {key: script, "notes": [script]}))
    config = yaml.safe_load((named / "config.yaml").read_text())
    config["model"]["init_args"]["backbone"] = script
    (named / "config.yaml").write_text(yaml.safe_dump(config))
    main(["report", str(named), "--out", str(tmp_path / "r.html")])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert script not in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>run" not in page
