import pytest

from wsreid.cli import manifest_argument
from wsreid.cli.manifest_argument import check_folder, open_manifest
from wsreid.data.dataset_statistics import RENDERED, measured_statistics
from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.rendered import RenderSettings
from wsreid.data.sources.market1501 import Market1501
from wsreid.errors import ConfigError, DataError

TINY = RenderSettings(train_ids=4, test_ids=3, cameras=2, images_per_id=4, sequences=1, distractors=2, junk=2)


@pytest.fixture
def manifest(market_root, tmp_path):
    write_manifest(tmp_path / "m.arrow", Market1501().index(market_root), source="market1501", root=market_root)
    return Manifest.open(tmp_path / "m.arrow")


def test_a_file_is_opened(manifest):
    assert open_manifest(str(manifest.path)).hash == manifest.hash


def test_the_word_means_the_rendered_set(monkeypatch):
    monkeypatch.setattr(manifest_argument, "_SETTINGS", TINY)
    found = open_manifest("rendered")
    assert len(found.identities) == TINY.train_ids
    assert measured_statistics(found).name == RENDERED
    assert open_manifest("rendered").path == found.path


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.arrow does not exist"):
        open_manifest(str(tmp_path / "none.arrow"))


def test_a_folder_in_a_data_set_or_in_a_file_is_refused(manifest, market_root, tmp_path):
    check_folder(tmp_path / "new" / "folder", "--out", [manifest])
    assert not (tmp_path / "new").exists()
    for inside in (market_root, market_root / "query" / "pictures"):
        with pytest.raises(ConfigError, match="never written to"):
            check_folder(inside, "--out", [manifest])
    with pytest.raises(ConfigError, match=r"--out .*m\.arrow is no folder"):
        check_folder(manifest.path / "pictures", "--out", [manifest])
    (tmp_path / "link").symlink_to(market_root)
    with pytest.raises(ConfigError, match="never written to"):
        check_folder(tmp_path / "link" / "pictures", "--out", [manifest])
