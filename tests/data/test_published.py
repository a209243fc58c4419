import numpy as np
import pytest

from wsreid.data.published import PUBLISHED, WHOLE, SplitCount, counted, differences, expected
from wsreid.data.records import ImageRecords
from wsreid.errors import ConfigError

TABLE = {  # the comparison table of the SYSU-30k page: categories, images
    "cuhk03": (1467, 28192),
    "market1501": (1501, 32668),
    "dukemtmc_reid": (1812, 36411),
    "msmt17": (4101, 126441),
    "cuhk01": (971, 3884),
    "prid2011": (934, 1134),
    "viper": (632, 1264),
    "caviar4reid": (72, 610),
    "sysu30k": (30508, 29606918),
}


def test_prints_what_the_page_prints_in_its_order():
    assert {name: (entry.identities, entry.images) for name, entry in PUBLISHED.items()} == TABLE
    assert list(PUBLISHED) == list(TABLE)
    assert [name for name, entry in PUBLISHED.items() if entry.annotation == "weak"] == ["sysu30k"]
    assert PUBLISHED["sysu30k"].bags == 3 * 28310


@pytest.mark.parametrize("name", ["dukemtmc_reid", "msmt17", "viper"])
def test_splits_add_up_to_the_whole(name):
    assert sum(split.images for split in PUBLISHED[name].splits.values()) == PUBLISHED[name].images


def test_the_kinds_of_cuhk03_boxes_add_up_to_the_whole():
    kinds = [PUBLISHED["cuhk03"].variants[f"new, {boxes}"] for boxes in ("labelled", "detected")]
    images = sum(split.images for kind in kinds for split in kind.values())
    assert images == expected("cuhk03")[WHOLE].images == 28193
    for kind in kinds:
        assert kind["train"].identities + kind["query"].identities == PUBLISHED["cuhk03"].identities


def test_names_each_difference_by_number():
    found = {"train": SplitCount(12_900, 750), "query": SplitCount(3_368, 750), "gallery": SplitCount(15_913, 751)}
    assert differences("market1501", found) == [
        "train: 12,900 images, published are 12,936",
        "train: 750 identities, published are 751",
        "gallery: 751 identities, published are 750",
    ]
    assert differences("market1501", {WHOLE: SplitCount(36_036, None)}) == []
    assert differences("market1501", {WHOLE: SplitCount(1, None)}) == ["whole set: 1 images, published are 36,036"]


def test_what_is_not_published_or_not_counted_is_no_difference():
    assert differences("folder", {"train": SplitCount(1, 1)}) == []
    assert differences("cuhk01", {"train": SplitCount(1, 1)}) == []
    assert differences("sysu30k", {"train": SplitCount(5, 28_310)}) == []
    assert differences("sysu30k", {"train": SplitCount(5, None), "query": SplitCount(999, 1_000)}) == [
        "query: 999 images, published are 1,000"
    ]


def test_variants_have_their_own_figures():
    found = {"train": SplitCount(30_248, 1_041)}
    assert differences("msmt17", found, "val left out") == []
    assert differences("msmt17", found) == ["train: 30,248 images, published are 32,621"]
    with pytest.raises(ConfigError, match=r"msmt17 has no variant 'x'; it has \['val left out'\]"):
        differences("msmt17", found, "x")


def test_counts_classes_in_train_and_known_identities_elsewhere():
    split = np.array([0, 0, 0, 1, 2, 2, 2, 2])
    records = ImageRecords(
        file=[f"{i}.jpg" for i in range(8)],
        offset=np.full(8, -1),
        size=np.ones(8, int),
        camera=np.ones(8, int),
        sequence=np.ones(8, int),
        frame=np.ones(8, int),
        split=split,
        pid=np.array([-1, -1, -1, 7, 7, 0, 0, -1]),
        identities=np.array([1, 2]),
    )
    assert counted(records) == {"train": SplitCount(3, 2), "query": SplitCount(1, 1), "gallery": SplitCount(4, 1)}
