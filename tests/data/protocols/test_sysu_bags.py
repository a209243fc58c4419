import json
import logging

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.protocols import sysu_bags
from wsreid.errors import DataError

FOLDERS = np.array([1, 2, 3, 5, 8])
FOLDER = np.repeat(FOLDERS, [2, 3, 1, 4, 2])  # folder of each row
ROWS = np.arange(len(FOLDER)) + 7


def bags_of(label_file=None, widths=(1, 3, 5)):
    draft = sysu_bags(ROWS, FOLDER, FOLDERS, label_file=label_file, widths=widths)
    return Bags.from_draft(draft, BagSettings(protocol="sysu"), "")


def entry(labels, bag="bag0000000010", images=None):
    images = [f"{x:010d}/*" for x in labels] if images is None else images
    return {"BagLabel": labels, "BagID": bag, "BagImages": images}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "bag_level_label.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_sliding_windows_are_clamped():
    bags = bags_of()
    assert len(bags) == 15
    labels = [bags.candidates(b).tolist() for b in range(6)]
    assert labels == [[0], [0, 1], [0, 1, 2], [1], [0, 1, 2], [0, 1, 2, 3]]
    for b in range(len(bags)):
        np.testing.assert_array_equal(bags.rows(b), ROWS[np.isin(FOLDER, FOLDERS[bags.candidates(b)])])
    assert bags.rows(8).size == 12  # the widest in the middle holds all


def test_json(write):
    two = entry([1, 5], "bag0000000007", ["0000000001/*", "0000000005/*"])
    bags = bags_of(write([entry([3, 2, 2]), two]), widths=(2, 3))
    assert bags.bag_id.tolist() == [10, 7]
    assert bags.candidates(0).tolist() == [1, 2]
    assert bags.candidates(1).tolist() == [0, 3]
    np.testing.assert_array_equal(bags.rows(0), ROWS[np.isin(FOLDER, [2, 3])])
    np.testing.assert_array_equal(bags.rows(1), ROWS[np.isin(FOLDER, [1, 5])])


def test_json_bags_of_some_widths_alone(write):
    file = write([entry([1], "bag0"), entry([1, 1, 2], "bag1"), entry([2], "bag2")])
    assert bags_of(file, widths=(1,)).bag_id.tolist() == [0, 2]
    assert bags_of(file, widths=(3,)).bag_id.tolist() == [1]  # clamped at the end: a folder is listed twice
    with pytest.raises(DataError, match="no bag of 5 folders"):
        bags_of(file, widths=(5,))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([entry([2, 4])], "each of its 1 bags of 1 or 2 or 3 folders names .*bag0000000010, which names folder 4"),
        ([entry([2], images=["0000000009/*"])], "bag0000000010, which names folder 9"),
        ([entry([2]), entry([2, 4], images=["0000000002/*", "x"])], "whole folders"),  # malformed, not absent
        ([entry([2], images=["0000000002/000001.jpg"])], "whole folders"),
        ([entry([2], images=["../x/*"])], "whole folders"),
        ([entry([2], images=[])], "BagImages"),
        ([entry([])], "BagLabel"),
        ([entry([True])], "BagLabel"),
        ([entry([2], bag="10")], "BagID"),
        ([entry([2]), {"BagLabel": [2]}], "bag 1: needs the keys"),
        ([], "list of bags"),
        ({"a": 1}, "list of bags"),
    ],
)
def test_refuses_what_does_not_fit(write, content, says):
    path = write(content)
    with pytest.raises(DataError, match=says) as caught:
        bags_of(path, widths=(1, 2, 3))
    assert str(path) in str(caught.value)


def test_a_partial_download_has_the_bags_whose_folders_are_all_there(write, caplog):
    whole, other = entry([1, 2], "bag1"), entry([8], "bag2")
    by_label, by_images = entry([2, 4], "bag3", ["0000000002/*"] * 2), entry([2], "bag4", ["0000000009/*"])
    ignored = entry([4, 6, 7], "bag5")
    path = write([whole, by_label, by_images, other, ignored])
    bags = bags_of(path, widths=(1, 2))
    assert bags.bag_id.tolist() == [1, 2]
    assert [bags.candidates(b).tolist() for b in (0, 1)] == [[0, 1], [4]]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "2 of 4 bags of bag_level_label.json name folders that are not here and are left out" in record.message
    assert "the first is bag3, which names folder 4" in record.message
    caplog.clear()
    bags_of(write([whole, other]), widths=(1, 2))
    assert not caplog.records


@given(
    content=st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: st.lists(x, max_size=3) | st.fixed_dictionaries({"BagLabel": x, "BagID": x, "BagImages": x}),
        max_leaves=8,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_json_is_refused_cleanly(write, content):
    with pytest.raises(DataError):
        bags_of(write(content))


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "\x00"])
def test_broken_json(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        bags_of(path)
