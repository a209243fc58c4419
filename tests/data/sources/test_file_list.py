import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.sources import file_list
from wsreid.data.sources.file_list import FileList
from wsreid.errors import DataError


def listing(tmp_path, text, name="train.txt"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return FileList(tmp_path / name, "sysu30k")


def take(listed, *files):
    return listed.take(pa.array(files, pa.string())).tolist()


@pytest.mark.parametrize("block", [5, file_list._BLOCK])
def test_lines_of_every_form(tmp_path, block, monkeypatch):
    monkeypatch.setattr(file_list, "_BLOCK", block)
    listed = listing(
        tmp_path,
        "a/1.jpg\r\n\n  top/more/b/2.JPG 17\nwin\\c\\3.png\nalone.jpeg\t4\nd/with space.jpg\nd/with space too.jpg 9",
    )
    files = ["x/a/1.jpg", "b/2.JPG", "c/3.png", "y/alone.jpeg", "d/with space.jpg", "z/d/with space too.jpg"]
    assert take(listed, *files, "c/4.png", "top/more.jpg") == [True] * 6 + [False] * 2
    assert listed.differences() == "train.txt: 0 listed files are not there, 2 files are not listed and left out"


def test_each_line_answers_for_one_file(tmp_path):
    listed = listing(tmp_path, "1.jpg\na/1.jpg\n")
    assert take(listed, "a/1.jpg", "b/1.jpg", "c/1.jpg") == [True, True, False]
    assert take(listed, "a/1.jpg") == [False]
    assert take(listed) == []


def test_a_line_that_names_no_image_is_counted_as_missing(tmp_path):
    listed = listing(tmp_path, b"a/1.jpg\n\xff\xfe garbage\n")
    assert take(listed, "a/1.jpg") == [True]
    assert listed.differences() == "train.txt: 1 listed files are not there, 0 files are not listed and left out"


def test_nothing_differs(tmp_path):
    listed = listing(tmp_path, "a/1.jpg\na/1.jpg\n")
    assert take(listed, "a/1.jpg") == [True]
    assert listed.differences() is None


def test_lists_that_cannot_be_right(tmp_path):
    with pytest.raises(DataError, match=r"train\.txt is empty"):
        listing(tmp_path, " \n\r\n")
    listed = listing(tmp_path, "q/9.jpg 3\n")
    take(listed, "a/1.jpg")
    with pytest.raises(DataError, match=r"lists none of the 1 files found, but for instance 'q/9\.jpg'"):
        listed.differences()
    with pytest.raises(DataError, match="cannot be read"):
        FileList(tmp_path, "sysu30k")


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1), st.lists(st.integers(0, 30)), st.integers(1, 4))
def test_takes_what_a_set_takes(tmp_path_factory, listed, files, parts):
    path = tmp_path_factory.getbasetemp() / "list.txt"
    path.write_text("\n".join(f"{n // 10:010d}/{n}.jpg" for n in listed))
    names = [f"root/{n // 10:010d}/{n}.jpg" for n in files]
    fast, left = FileList(path, "x"), set(listed)
    expected = []
    for n in files:
        expected.append(n in left)
        left.discard(n)
    found = [fast.take(pa.array(part.tolist(), pa.string())) for part in np.array_split(np.array(names, object), parts)]
    assert np.concatenate(found).tolist() == expected
