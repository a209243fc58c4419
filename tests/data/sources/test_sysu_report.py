import json

import pytest

from wsreid.data.sources.sysu_report import bag_labels_note


def text_of(*bags):
    return json.dumps(
        [{"BagLabel": x, "BagID": f"bag{i}", "BagImages": [f"{y:010d}/*" for y in x]} for i, x in enumerate(bags)]
    )


@pytest.fixture
def note(tmp_path):
    def note(text, *arguments):
        path = tmp_path / "bag_level_label.json"
        path.write_text(text)
        return bag_labels_note(path, *arguments)

    return note


def test_nothing_is_said_of_the_whole_file(note):
    assert note(text_of([1], [2, 3]), 2, {1, 2, 3}) is None
    assert note(text_of([1], [2, 3]), None) is None


def test_another_number_of_bags(note):
    assert note(text_of([1], [2]), 1_000) == "bag_level_label.json: 2 bags, published are 1,000"


@pytest.mark.parametrize("cut", [1, 60])
def test_a_cut_file_is_broken_however_many_bags_it_names(note, cut):
    said = note(text_of([1], [2])[:-cut], 2)
    assert "bag_level_label.json" in said
    assert "cannot be read as JSON" in said


def test_a_malformed_bag_is_named(note):
    assert "BagImages must name whole folders" in note(text_of([1]).replace("*", "x"), 1)


def test_folders_that_are_not_here_are_counted_by_number(note):
    said = note(text_of([1], [2, 7], [9], *([x] for x in range(20, 30))), 13, {1, 2})
    assert said == (
        "bag_level_label.json: 12 of 13 bags name 12 training folders that are not here: 7, 9, 20, 21, 22, ..."
    )
    assert note(text_of([1], [2]), 3, {1}).splitlines() == [
        "bag_level_label.json: 2 bags, published are 3; 1 of 2 bags name 1 training folders that are not here: 2"
    ]
