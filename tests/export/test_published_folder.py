import pytest

from wsreid.errors import ConfigError
from wsreid.export.published_folder import SUMS_FILE, check_folder, remove_published, write_sums


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "README.md").write_text("card")
    (folder / ".gitattributes").write_text("lfs")
    write_sums(folder)
    return folder


def test_a_former_publish_and_an_empty_folder_may_be_replaced(folder, tmp_path):
    check_folder(folder)
    remove_published(folder)
    assert not folder.exists()
    folder.mkdir()
    check_folder(folder)
    check_folder(tmp_path / "new")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "mine.txt").write_text("x"), "it holds mine.txt, which `publish` has not written"),
        (lambda folder: (folder / ".git").mkdir(), "it holds .git, which `publish` has not written"),
        (lambda folder: (folder / "README.md").write_text("cart"), "README.md in it was changed since"),
        (lambda folder: (folder / SUMS_FILE).unlink(), "is no folder that `publish` has filled"),
        (lambda folder: (folder / SUMS_FILE).write_text("abc  README.md\n"), "is no folder that `publish` has filled"),
    ],
)
def test_anything_else_is_refused_and_kept(change, told, folder):
    change(folder)
    before = sorted(folder.iterdir())
    with pytest.raises(ConfigError, match=told):
        remove_published(folder)
    assert sorted(folder.iterdir()) == before


def test_a_file_and_the_present_folder_are_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="there is a file of this name"):
        check_folder(tmp_path / "file")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the folder where you are"):
        check_folder(tmp_path)
