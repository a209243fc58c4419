import numpy as np
import pytest

from wsreid.data.manifest import Split
from wsreid.data.sources import PKUReID
from wsreid.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path, put):
    put(*(f"{pid:03d}/{camera:02d}_{turn}.png" for pid in (2, 9, 10, 11) for camera in (1, 2) for turn in (1, 2, 3)))
    return tmp_path


def test_first_identities_train_and_the_cameras_split_the_others(root):
    records = PKUReID(train_ids=2).index(root)
    assert records.identities.tolist() == [2, 9]
    by_split = {
        split: {
            (int(p), int(c)) for p, c, s in zip(records.pid, records.camera, records.split, strict=True) if s == split
        }
        for split in Split
    }
    assert by_split == {
        Split.TRAIN: {(2, 1), (2, 2), (9, 1), (9, 2)},
        Split.QUERY: {(10, 1), (11, 1)},
        Split.GALLERY: {(10, 2), (11, 2)},
    }
    assert np.bincount(records.split).tolist() == [12, 6, 6]
    assert set(records.sequence.tolist()) == {-1}
    assert records.file[0] == "002/01_1.png"
    assert records.frame[:3].tolist() == [1, 1, 2]  # camera 1: both identities' orientation 1, then 2


def test_the_archive_s_own_folder_may_be_the_root_or_inside_it(root):
    inner = root / "pku-reid"
    inner.mkdir()
    for folder in list(root.iterdir()):
        if folder != inner:
            folder.rename(inner / folder.name)
    outside, inside = PKUReID(2).index(root), PKUReID(2).index(inner)
    assert outside.file[0] == "pku-reid/002/01_1.png"
    np.testing.assert_array_equal(outside.pid, inside.pid)
    assert PKUReID(2).fingerprint(root)


def test_without_training_identities_all_are_tested(root):
    some, every = PKUReID(2).index(root), PKUReID(0).index(root)
    assert len(every.split) == len(some.split)
    assert set(every.split.tolist()) == {int(Split.QUERY), int(Split.GALLERY)}


def test_errors(root, tmp_path, put):
    with pytest.raises(DataError, match="holds 4 identities, so train_ids=37"):
        PKUReID().index(root)
    with pytest.raises(ConfigError, match="must not be negative"):
        PKUReID(train_ids=-1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="folders named by a number"):
        PKUReID().index(tmp_path / "empty")
    put("9/01_1.png")
    with pytest.raises(DataError, match="same number"):
        PKUReID(2).index(root)


def test_a_third_camera_and_other_names_are_problems(root, put):
    put("010/03_1.png", "010/face.png")
    assert [p.file for p in PKUReID(2).index(root).problems] == ["010/03_1.png", "010/face.png"]


def test_no_query_is_an_error(root):
    for path in [*root.glob("010/01_*"), *root.glob("011/01_*")]:
        path.unlink()
    with pytest.raises(DataError, match="no query image"):
        PKUReID(2).index(root)


def test_fingerprint_depends_on_the_setting(root):
    assert PKUReID(2).fingerprint(root) != PKUReID(3).fingerprint(root)
