import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_settings import BagSettings
from wsreid.data.inspection import (
    Spread,
    _Histogram,
    bag_summary,
    lost_queries,
    open_images,
    sampled_rows,
    split_summaries,
)
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.records import ImageRecords
from wsreid.data.sources import Market1501


@given(st.lists(st.integers(0, 50), max_size=30))
def test_a_histogram_has_the_spread_of_its_numbers(numbers):
    histogram = _Histogram()
    for number in numbers:
        histogram.add(number)
    assert histogram.spread() == Spread.of(numbers)


def test_spread_reads_well():
    assert str(Spread.of([30, 10, 2000])) == "10 to 2,000, median 30"


def test_counts_splits(market):
    train, query, gallery = split_summaries(market)
    assert (train.images, train.identities, train.cameras, train.distractors) == (72, 12, 2, 0)
    assert (query.split, query.images, query.identities, query.cameras) == (Split.QUERY, 4, 4, 1)
    assert (gallery.images, gallery.identities, gallery.cameras, gallery.distractors) == (11, 4, 2, 3)
    assert {summary.unknown for summary in (train, query, gallery)} == {0}


def test_samples_without_repeats_the_same_for_a_seed(market):
    rows = sampled_rows(market, 10, 0)
    assert len(set(rows)) == 10
    assert list(rows) == sorted(rows)
    assert rows == sampled_rows(market, 10, 0) != sampled_rows(market, 10, 1)
    assert list(sampled_rows(market, None, 0)) == list(sampled_rows(market, 10**6, 0)) == list(range(len(market)))


def test_opens_images_and_names_those_it_cannot_read(own_market_root, tmp_path):
    records = Market1501().index(own_market_root)
    write_manifest(tmp_path / "m", records, source="market1501", root=own_market_root)
    manifest = Manifest.open(tmp_path / "m")
    for row in (3, 5):
        manifest.location(row).path.write_bytes(b"text")
    found = open_images(manifest, range(10), shown=1)
    assert (found.opened, found.unreadable) == (10, 2)
    assert found.height == Spread(32, 32.0, 32)
    assert found.width == Spread(16, 16.0, 16)
    assert len(found.reasons) == 1
    assert manifest.file(3) in found.reasons[0]
    assert open_images(manifest, [3]).height is None


def _manifest(tmp_path, query, gallery):
    """Rows of (pid, camera) as a manifest."""
    rows = [*query, *gallery]
    pid, camera = np.array(rows).reshape(-1, 2).T
    n = len(rows)
    records = ImageRecords(
        file=[f"{i}.jpg" for i in range(n)],
        offset=np.full(n, -1),
        size=np.ones(n, int),
        camera=camera,
        sequence=np.ones(n, int),
        frame=np.ones(n, int),
        split=np.repeat([1, 2], [len(query), len(gallery)]),
        pid=pid,
        identities=np.array([], int),
    )
    write_manifest(tmp_path / "m", records, source="x", root=tmp_path)
    return Manifest.open(tmp_path / "m")


def test_says_why_queries_are_lost(tmp_path):
    query = [(1, 1), (2, 1), (3, 1), (-1, 1), (4, 2)]
    found = lost_queries(_manifest(tmp_path, query, [(1, 1), (1, 2), (2, 1), (-1, 3), (4, 1)]))
    assert (found.queries, found.unknown, found.absent, found.own_camera, found.lost) == (5, 1, 1, 1, 3)
    assert found.examples == ("1.jpg", "2.jpg", "3.jpg")


def test_without_cameras_the_identity_is_enough(tmp_path):
    found = lost_queries(_manifest(tmp_path, [(1, -1), (2, -1)], [(1, -1)]))
    assert (found.absent, found.own_camera) == (1, 0)


@pytest.mark.parametrize(("query", "lost"), [([], 0), ([(1, 1)], 1)])
def test_without_queries_or_gallery(tmp_path, query, lost):
    assert lost_queries(_manifest(tmp_path, query, [] if query else [(1, 1)])).lost == lost


def test_describes_bags(market):
    bags = make_bags(market, BagSettings(protocol="random", ids_per_bag=3, images_per_id=2), market.rows(Split.TRAIN))
    found = bag_summary(bags)
    assert (found.protocol, found.bags, found.members) == ("random", 12, 72)
    assert found.sizes == Spread(6, 6.0, 6)
    assert found.candidates == Spread(3, 3.0, 3)
