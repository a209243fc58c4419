"""What `publish` refuses before it loads a run; what it writes: tests/export/test_publish.py."""

import pytest

from wsreid.cli import main
from wsreid.errors import ConfigError
from wsreid.export import formats


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "Missing: --out"),
        (["--out", "hub", "--format", "onxx"], "onnx"),
        (["--out", "hub", "--count", "0"], "--count 0: expected at least 1"),
        (["--out", "hub", "--images", "nowhere"], "there is no such folder"),
        (["--out", "hub", "--license", "My License"], "name it as the hub does"),
        (["--out", "full"], r"it holds mine\.txt, and is no folder that `publish` has filled"),
        (["--out", "."], "this is the folder where you are"),
        (["--out", "hub", "--formt", "onnx"], "did you mean --format"),
    ],
)
def test_mistakes_are_named_before_a_run_is_loaded(options, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match=told):
        main(["publish", "no-such-run", *options])
    assert [file.name for file in tmp_path.iterdir()] == ["full"]


def test_onnx_without_its_packages_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'wsreid\[onnx\]'"):
        main(["publish", "no-such-run", "--out", str(tmp_path / "hub"), "--format", "onnx"])
