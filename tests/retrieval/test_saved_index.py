import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from wsreid.errors import FeatureError
from wsreid.retrieval import saved_index as module
from wsreid.retrieval import saved_recall as recalls
from wsreid.retrieval.faiss_topk import topk
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.saved_index import index_bytes, index_path, saved_index
from wsreid.retrieval.saved_recall import recall_path
from wsreid.retrieval.search_settings import SearchSettings

from .problems import make_problem

IVF = SearchSettings("ivf", nlist=16, nprobe=2, refine=1)


@pytest.fixture(scope="module")
def p():
    return make_problem(6, queries=4, images=300, width=16, ids=30)


@pytest.fixture
def path(tmp_path):
    return index_path(tmp_path / "gallery", IVF, "cosine")


@pytest.fixture
def counted(monkeypatch):
    """What was made and measured."""
    done = []
    build, measure = SearchIndex.build.__func__, recalls.sampled_recall
    monkeypatch.setattr(
        SearchIndex, "build", classmethod(lambda cls, *a, **k: (done.append("built"), build(cls, *a, **k))[1])
    )
    monkeypatch.setattr(recalls, "sampled_recall", lambda *a, **k: (done.append("measured"), measure(*a, **k))[1])
    return done


def test_it_is_made_and_measured_once_and_loaded_afterwards(p, path, counted):
    first = saved_index(p.gallery, path, "cosine", IVF)
    assert path.name == "gallery.ivf-cosine.index"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "gallery.ivf-cosine.index",
        "gallery.ivf-cosine.json",
    ]
    assert (first.path, first.made) == (path, "there was none")
    assert (first.recall.nprobe, first.recall.k, first.recall.images) == (2, 10, 100)
    assert 0 < first.recall.recall < 1
    again = saved_index(p.gallery, path, "cosine", IVF)
    assert again.made is None
    assert again.recall == first.recall
    assert counted == ["built", "measured"]
    for one, other in zip(first.index.search(p.query, 5), again.index.search(p.query, 5), strict=True):
        assert np.array_equal(one, other)


def test_looking_further_needs_no_new_index_but_a_recall_of_its_own(p, path, counted):
    first = saved_index(p.gallery, path, "cosine", IVF).recall
    whole = replace(IVF, nprobe=16)
    assert saved_index(p.gallery, path, "cosine", whole).recall.recall == 1
    assert saved_index(p.gallery, path, "cosine", whole).recall.nprobe == 16
    assert saved_index(p.gallery, path, "cosine", IVF).recall == first
    assert counted == ["built", "measured", "measured"]


@pytest.mark.parametrize("kind", ["pq", "hnsw"])
def test_other_kinds_lie_beside_it(kind, p, path, counted):
    settings = SearchSettings(kind)
    other = index_path(path.parent / "gallery", settings, "cosine")
    found = saved_index(p.gallery, other, "cosine", settings)
    assert other != path
    assert other.is_file()
    assert (found.recall.nprobe, found.recall.ef) == ((None, 128) if kind == "hnsw" else (16, None))
    assert saved_index(p.gallery, other, "cosine", settings).made is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda g: g[:-1], "the features are 299 x 16, those that it was made from 300 x 16"),
        (lambda g: g + 1, "the features are not those that it was made from"),
    ],
)
def test_of_other_features_it_is_made_anew_and_says_so(change, why, p, path, counted):
    old = saved_index(p.gallery, path, "cosine", IVF).recall
    new = saved_index(change(p.gallery), path, "cosine", IVF)
    assert new.made == why
    assert new.recall != old
    assert counted == ["built", "measured"] * 2
    assert saved_index(change(p.gallery), path, "cosine", IVF).made is None


def test_features_are_checked_before_an_index_is_made_of_them(p, path):
    def broken():
        raise FeatureError("a shard is damaged")

    for settings in (IVF, SearchSettings()):
        with pytest.raises(FeatureError, match="a shard is damaged"):
            saved_index(p.gallery, path, "cosine", settings, check=broken)
    assert not path.exists()
    saved_index(p.gallery, path, "cosine", IVF)
    assert saved_index(p.gallery, path, "cosine", IVF, check=broken).made is None
    with pytest.raises(FeatureError, match="a shard is damaged"):
        saved_index(p.gallery + 1, path, "cosine", IVF, check=broken)


def test_with_other_settings_it_is_made_anew(p, path):
    saved_index(p.gallery, path, "cosine", IVF)
    assert saved_index(p.gallery, path, "cosine", replace(IVF, nlist=8)).made == "it was made with other settings"
    assert saved_index(p.gallery, path, "euclidean", replace(IVF, nlist=8)).made == "it was made with other settings"


def test_exact_search_leaves_no_file(p, path):
    found = saved_index(p.gallery, path, "cosine", SearchSettings())
    assert (found.path, found.made, found.recall) == (None, None, None)
    assert list(path.parent.iterdir()) == []
    assert np.array_equal(found.index.search(p.query, 5)[1], topk(p.query, p.gallery, 5)[1])


@pytest.mark.parametrize("damage", ["byte", "cut", "foreign"])
def test_a_damaged_file_is_told_with_the_way_out(damage, p, path):
    saved_index(p.gallery, path, "cosine", IVF)
    whole = bytearray(path.read_bytes())
    if damage == "byte":
        whole[500] ^= 1
    path.write_bytes(whole if damage == "byte" else whole[:1000] if damage == "cut" else b"my own notes")
    with pytest.raises(FeatureError, match=r"index: .* Remove .*gallery\.ivf-cosine\.index, and it is made anew"):
        saved_index(p.gallery, path, "cosine", IVF)
    path.unlink()
    assert saved_index(p.gallery, path, "cosine", IVF).made == "there was none"


def test_a_recall_of_another_build_or_a_damaged_file_of_recalls_is_not_believed(p, path, counted):
    first = saved_index(p.gallery, path, "cosine", IVF).recall
    file = recall_path(path)
    content = json.loads(file.read_text())
    for wrong in ({**content, "index": "0" * 40}, {**content, "format": "2"}, {**content, "recalls": [{"k": 10}]}, []):
        file.write_text(json.dumps(wrong))
        assert saved_index(p.gallery, path, "cosine", IVF).recall == first
    file.write_text("{")
    assert saved_index(p.gallery, path, "cosine", IVF).recall == first
    assert counted == ["built"] + ["measured"] * 6


def test_where_it_cannot_be_kept_is_found_out_before_the_work(p, path, counted, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10))
        with pytest.raises(FeatureError, match=r"the index takes about 0 MB, and 0 MB are free\. Make room"):
            saved_index(p.gallery, path, "cosine", IVF)
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(FeatureError, match="this folder cannot be written to"):
            saved_index(p.gallery, path, "cosine", IVF)
    assert counted == []


@pytest.mark.parametrize("kind", ["ivf", "pq", "hnsw"])
def test_its_size_is_about_known_beforehand(kind, tmp_path):
    gallery = np.random.default_rng(0).standard_normal((2000, 64), dtype=np.float32)
    settings = SearchSettings(kind, links=8, ef_construction=10)
    path = tmp_path / "i"
    SearchIndex.build(gallery, settings=settings).save(path)
    assert path.stat().st_size == pytest.approx(index_bytes(2000, 64, settings), rel=0.1)
