import numpy as np
import pytest

from wsreid.data.records import Split
from wsreid.data.sources.cuhk01 import CUHK01
from wsreid.errors import DataError


def complete(put, identities, folder="campus"):
    put(*(f"{folder}/{pid:04d}{number:03d}.png" for pid in range(1, identities + 1) for number in range(1, 5)))


def test_the_first_two_images_are_camera_a_s(tmp_path, put):
    complete(put, 3)
    put("campus/Thumbs.db", data=b"x")
    records = CUHK01().index(tmp_path)
    expected = {f"campus/000{p}00{n}.png": (p, (n + 1) // 2, n) for p in (1, 2, 3) for n in (1, 2, 3, 4)}
    columns = (records.pid.tolist(), records.camera.tolist(), records.frame.tolist())
    assert dict(zip(records.file, zip(*columns, strict=True), strict=True)) == expected
    assert np.bincount(records.split).tolist() == [4, 4, 4]
    assert records.problems == ()
    assert records.notes[1:] == (
        "whole set: 12 images, published are 3,884",
        "whole set: 3 identities, published are 971",
    )


@pytest.mark.parametrize(("test_ids", "train", "test"), [(None, 485, 486), (100, 871, 100)])
def test_the_two_protocols_on_the_whole_set(whole, test_ids, train, test):
    records = CUHK01(split=4, test_ids=test_ids).index(whole)
    assert len(records.identities) == train
    assert np.bincount(records.split).tolist() == [train * 4, test * 2, test * 2]
    assert len(records.notes) == 1
    assert f"{train} identities train, {test} are tested" in records.notes[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("CUHK01") / "campus"
    folder.mkdir()
    for pid in range(1, 972):
        for number in range(1, 5):
            (folder / f"{pid:04d}{number:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder.parent


def test_names_that_are_none(tmp_path, put):
    complete(put, 2)
    bad = ["0000001.png", "0001 001.png", "0001005.png", "001001.png"]
    put(*(f"campus/{name}" for name in bad))
    put("campus/0003001.PNG", "campus/0001001.jpg")
    records = CUHK01().index(tmp_path)
    assert sorted(p.file for p in records.problems) == sorted(f"campus/{name}" for name in [*bad, "0001001.png"])
    assert "1 identities were seen by one camera alone and are left out" in records.notes
    assert set(records.pid.tolist()) == {1, 2}


def test_the_query_camera(tmp_path, put):
    complete(put, 4, "CUHK01/campus")
    records = CUHK01(query_camera="b").index(tmp_path)
    assert set(records.camera[records.split == Split.QUERY].tolist()) == {2}
    assert set(records.camera[records.split == Split.GALLERY].tolist()) == {1}


def test_roots(tmp_path, put):
    complete(put, 2)
    with pytest.raises(DataError, match=rf"Did you mean {tmp_path}\?.*xgwang"):
        CUHK01().index(tmp_path / "campus")
    with pytest.raises(DataError, match=r"leave 486 to test.*lower test_ids"):
        CUHK01(test_ids=486).index(tmp_path)
    assert CUHK01().fingerprint(tmp_path) != CUHK01(test_ids=1).fingerprint(tmp_path)
