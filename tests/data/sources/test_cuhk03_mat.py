import builtins

import cv2
import numpy as np
import pytest

from tests.data.sources.cuhk03_files import TEST_SETS, image, names, write_lists, write_mat
from wsreid.data.sources.cuhk03_mat import extract_images, read_new_protocol, read_test_sets
from wsreid.errors import DataError


@pytest.fixture(scope="module")
def mat(tmp_path_factory):
    path = tmp_path_factory.mktemp("mat") / "cuhk-03.mat"
    write_mat(path)
    return path


@pytest.mark.parametrize(("boxes", "cell"), [("labelled", "labeled"), ("detected", "detected")])
def test_extracts_each_image_bit_for_bit(mat, tmp_path, boxes, cell):
    extract_images(mat, boxes, tmp_path / "images")
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == sorted(names())
    for pair, number, place, name in ((1, 1, 6, "1_001_2_06.png"), (2, 2, 3, "2_002_1_03.png")):
        bgr = cv2.imread(str(tmp_path / "images" / name))
        assert np.array_equal(bgr[:, :, ::-1], image(pair, number, place, cell))


def test_reads_the_test_sets(mat):
    assert read_test_sets(mat) == [frozenset(test) for test in TEST_SETS]


def test_reads_the_lists_of_the_new_protocol(tmp_path):
    write_lists(tmp_path)
    lists = read_new_protocol(tmp_path / "cuhk03_new_protocol_config_labeled.mat")
    assert {name[2:5] for name in lists.train} == {"001"}
    assert sorted(lists.train + lists.query + lists.gallery) == sorted(names())
    assert all(name[8:10] in ("01", "06") for name in lists.query)


def test_lists_that_point_outside_are_damaged(tmp_path):
    for wrong in ([0, 1], [1, 99]):
        write_lists(tmp_path, query_idx=np.array(wrong))
        with pytest.raises(DataError, match="query_idx names images that filelist does not have"):
            read_new_protocol(tmp_path / "cuhk03_new_protocol_config_labeled.mat")


@pytest.mark.parametrize("data", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_damaged_files(tmp_path, data):
    path = tmp_path / "cuhk-03.mat"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"is no cuhk-03\.mat, or a damaged one.*Download it again"):
        read_test_sets(path)
    with pytest.raises(DataError, match="is no list of the new protocol, or a damaged one"):
        read_new_protocol(path)
    with pytest.raises(DataError, match=r"is no cuhk-03\.mat"):
        extract_images(path, "detected", tmp_path / "images")


def test_without_h5py_it_says_what_to_install(mat, monkeypatch):
    real = builtins.__import__

    def blocked(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError("No module named 'h5py'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(DataError, match="pip install h5py"):
        read_test_sets(mat)
