import logging

import pytest

from wsreid.data.rendered import rendered_root
from wsreid.data.rendered.dataset import TRAIN, content_hash, is_intact
from wsreid.data.rendered.settings import RenderSettings

TINY = RenderSettings(seed=5, train_ids=3, test_ids=2, cameras=2, images_per_id=4, distractors=2, junk=1)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_set_is_rendered_once_and_only_into_the_cache(cache, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0002_c1s1_000451_03.jpg").write_bytes(b"mine")
    monkeypatch.chdir(elsewhere)
    root = rendered_root(TINY)
    assert root == cache / "rendered" / TINY.key
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert rendered_root(TINY) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times
    assert [path.name for path in elsewhere.iterdir()] == ["0002_c1s1_000451_03.jpg"]
    assert (elsewhere / "0002_c1s1_000451_03.jpg").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "elsewhere"]


def test_a_changed_set_is_rendered_again(cache, caplog):
    root = rendered_root(TINY)
    good = content_hash(root)
    sorted((root / TRAIN).iterdir())[0].write_bytes(b"")
    (root / TRAIN / "extra.txt").write_text("x")
    with caplog.at_level(logging.WARNING):
        assert rendered_root(TINY) == root
    assert "rendering it again" in caplog.text
    assert content_hash(root) == good
    assert is_intact(root)


def test_an_interrupted_build_leaves_no_set(cache, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("wsreid.data.rendered.dataset.content_hash", fail)
    with pytest.raises(KeyboardInterrupt):
        rendered_root(TINY)
    assert not (cache / "rendered" / TINY.key).exists()
    monkeypatch.undo()
    monkeypatch.setenv("WSREID_CACHE_DIR", str(cache))
    assert is_intact(rendered_root(TINY))
