import pytest

from wsreid.data.sources.archive_folder import archive_folder
from wsreid.data.sources.viper import VIPeR
from wsreid.errors import DataError

NEEDED = ["cam_a", "cam_b"]


def folders(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)


def find(root):
    return archive_folder(VIPeR(), root, ["VIPeR"], NEEDED)


def test_the_root_itself_or_the_archive_s_folder_inside(tmp_path):
    folders(tmp_path, "sets of mine/VIPeR/cam_a", "sets of mine/VIPeR/cam_b")
    inside = tmp_path / "sets of mine" / "VIPeR"
    assert find(inside) == inside
    assert find(inside.parent) == inside


def test_a_root_too_high_or_too_deep_is_told_the_right_one(tmp_path):
    folders(tmp_path, "more/VIPeR/cam_a", "more/VIPeR/cam_b")
    right = tmp_path / "more" / "VIPeR"
    for wrong in (tmp_path, right / "cam_a"):
        with pytest.raises(DataError, match=rf"no folder 'cam_a'\. Did you mean {right}\?.*vision\.soe"):
            find(wrong)


def test_the_missing_folder_of_the_likeliest_place_is_named(tmp_path):
    folders(tmp_path, "VIPeR/cam_a")
    with pytest.raises(DataError, match=r"VIPeR has no folder 'cam_b'\. It must"):
        find(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        find(tmp_path / "gone")


def test_two_copies_are_not_chosen_between(tmp_path):
    folders(tmp_path, "cam_a", "cam_b", "VIPeR/cam_a", "VIPeR/cam_b")
    with pytest.raises(DataError, match="both hold"):
        find(tmp_path)
