import pickle

import pytest

from wsreid.data.manifest import NO_CAMERAS
from wsreid.data.sources import Folder
from wsreid.errors import ConfigError, DataError

FULL = r"(?P<pid>[^/_]+)_(?P<camera>[^_]+)_(?P<frame>\d+)"


def test_names_that_are_numbers_are_kept(tmp_path, put):
    put("train/012_3_7.jpg", "train/012_3_4.jpg", "query/5_1_0.png", "gallery/5_2_0.jpg", "gallery/0_2_0.JPG")
    records = Folder(FULL).index(tmp_path)
    assert records.pid.tolist() == [12, 12, 5, 0, 5]
    assert records.camera.tolist() == [3, 3, 1, 2, 2]
    assert records.frame.tolist() == [4, 7, 0, 0, 0]
    assert records.identities.tolist() == [12]
    assert records.pid_names is None
    assert records.notes == ()


def test_other_names_are_numbered_in_sorted_order(tmp_path, put):
    put("train/bob_left_1.jpg", "train/ann_left_2.jpg", "query/cy x_right_1.jpg", "gallery/cy x_left_1.jpg")
    records = Folder(FULL).index(tmp_path)
    assert records.pid_names == ("ann", "bob", "cy x")
    assert records.file[:2] == ["train/bob_left_1.jpg", "train/ann_left_2.jpg"]
    assert records.pid.tolist() == [2, 1, 3, 3]
    assert records.camera.tolist() == [1, 1, 2, 1]
    assert records.identities.tolist() == [1, 2]
    assert records.notes == ("cameras are numbered from 1: left, right",)


def test_numbers_that_would_collide_are_names(tmp_path, put):
    put("train/1/a.jpg", "train/01/a.jpg", "query/7/a.jpg", "gallery/7/b.jpg")
    records = Folder().index(tmp_path)
    assert records.pid_names == ("01", "1", "7")
    assert len(records.identities) == 2


def test_a_folder_per_identity_without_cameras_by_default(tmp_path, put):
    put("a/t/x/2.jpg", "a/t/x/deep/1.jpg", "a/q/y/1.jpg", "a/g/y/1.jpg")
    records = Folder(train="a/t", query="a/q", gallery="a/g").index(tmp_path)
    assert NO_CAMERAS in records.notes
    assert set(records.camera.tolist()) == {-1}
    assert set(records.frame.tolist()) == {-1}
    assert records.file == ["a/t/x/2.jpg", "a/t/x/deep/1.jpg", "a/q/y/1.jpg", "a/g/y/1.jpg"]


def test_junk_leaves_the_gallery_and_is_a_problem_elsewhere(tmp_path, put):
    put("train/1_1_1.jpg", "train/-1_1_1.jpg", "query/2_1_1.jpg", "gallery/2_2_1.jpg", "gallery/-1_2_1.jpg")
    records = Folder(FULL).index(tmp_path)
    assert records.notes == ("1 junk images (-1) dropped from the gallery",)
    assert [p.file for p in records.problems] == ["train/-1_1_1.jpg"]
    assert records.pid.tolist() == [1, 2, 2]


def test_some_images_without_a_camera_are_counted(tmp_path, put):
    put("train/1.jpg", "query/2_c1.jpg", "gallery/2_c2.jpg")
    records = Folder(r"(?P<pid>\d+)(_c(?P<camera>\d+))?").index(tmp_path)
    assert records.notes == ("1 of 3 images name no camera",)
    assert records.camera.tolist() == [-1, 1, 2]


@pytest.mark.parametrize(
    ("file", "reason"), [("train/nothing.jpg", "does not match"), ("train/1_1_x.jpg", "no whole number")]
)
def test_names_that_do_not_parse_are_problems(tmp_path, put, file, reason):
    put("train/1_1_1.jpg", "query/2_1_1.jpg", "gallery/2_2_1.jpg", file)
    records = Folder(r"(?P<pid>\d+)_(?P<camera>\d+)_(?P<frame>\w+)").index(tmp_path)
    (problem,) = records.problems
    assert problem.file == file
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": r"(?P<camera>\d+)"}, "no group pid"),
        ({"pattern": r"(?P<pid>\d+"}, "no regular expression"),
        ({"pattern": r"(?P<pid>\d+)(?P<cam>\d)"}, r"groups \['cam'\]"),
        ({"query": "../elsewhere"}, "inside the root"),
        ({"query": "/data"}, "inside the root"),
        ({"query": ""}, "inside the root"),
    ],
)
def test_settings_that_cannot_work(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Folder(**arguments)


def test_a_pattern_is_shown_as_typed(tmp_path, put):
    with pytest.raises(ConfigError) as caught:
        Folder(r"(?P<pid>\d+")
    assert r"pattern '(?P<pid>\d+' is no regular" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Folder(r"[^'\\]\d+")
    assert r"pattern '[^'\\]\d+' has no group pid" in str(caught.value)
    put("train/1.jpg", "train/x.jpg", "query/2.jpg", "gallery/2.jpg")
    (problem,) = Folder(r"(?P<pid>\d+)").index(tmp_path).problems
    assert problem.reason == r"does not match the pattern '(?P<pid>\d+)'"


def test_missing_folder_and_empty_split(tmp_path, put):
    put("train/1/a.jpg", "query/2/a.jpg")
    with pytest.raises(DataError, match="no folder 'gallery'"):
        Folder().index(tmp_path)
    (tmp_path / "gallery").mkdir()
    with pytest.raises(DataError, match="no gallery image"):
        Folder().index(tmp_path)


def test_linked_folders_are_reported_and_hidden_ones_passed_over(tmp_path, put):
    put("train/1/a.jpg", "query/2/a.jpg", "gallery/2/b.jpg", "train/.cache/1.jpg")
    (tmp_path / "train" / "3").symlink_to(tmp_path / "query" / "2")
    records = Folder().index(tmp_path)
    assert len(records) == 3
    assert [str(p) for p in records.problems] == ["train/3 is a link to a folder: put the folder itself here"]


def test_fingerprint_sees_settings_and_deep_folders(tmp_path, put):
    put("train/1/a.jpg", "query/2/a.jpg", "gallery/2/b.jpg")
    before = Folder().fingerprint(tmp_path)
    assert Folder(r"(?P<pid>\d+)/").fingerprint(tmp_path) != before
    assert Folder().fingerprint(tmp_path) == before
    put("train/1/b.jpg")
    assert Folder().fingerprint(tmp_path) != before


def test_value():
    assert pickle.loads(pickle.dumps(Folder(FULL))) == Folder(FULL)
    assert Folder(FULL) != Folder()
    assert len({Folder(), Folder()}) == 1
