import errno
import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval import faiss_library, index_file
from wsreid.retrieval.errors import NonFiniteFeaturesError
from wsreid.retrieval.faiss_topk import ranked_lists, recall_of, topk
from wsreid.retrieval.feature_hash import feature_hash
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.index_build import fill_index
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.search_rows import SearchRows
from wsreid.retrieval.search_settings import SearchSettings

from .oracle import scores
from .problems import make_problem

CPU = torch.device("cpu")
METRICS = ("cosine", "dot", "euclidean")
WHOLE = {  # looks everywhere, so that it must find what exact search finds
    "ivf": SearchSettings("ivf", nlist=8, nprobe=8),
    "pq": SearchSettings("pq", nlist=4, nprobe=4, m=8, bits=6, refine=1000),
    "hnsw": SearchSettings("hnsw", links=32, ef=1000, refine=8),
}
SMALL = {
    "ivf": SearchSettings("ivf", nlist=32, nprobe=2, refine=1),
    "pq": SearchSettings("pq", nlist=8, nprobe=2, m=2, bits=3, refine=1),
    "hnsw": SearchSettings("hnsw", links=2, ef_construction=2, ef=1, refine=1),
}


@pytest.fixture(scope="module")
def p():
    return make_problem(3, queries=20, images=600, width=16, ids=30)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["exact", *WHOLE])
def test_an_index_that_looks_everywhere_finds_the_best(kind, metric, p):
    settings = WHOLE.get(kind, SearchSettings())
    with SearchIndex.build(p.gallery, metric, settings, memory_mb=1) as index:
        found, rows = index.search(p.query, 10)
        assert index.recall(p.query, p.gallery, 10) == 1
    expected, expected_rows = topk(p.query, p.gallery, 10, metric)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", list(SMALL))
def test_recall_is_the_share_found(kind, p):
    with SearchIndex.build(p.gallery, "cosine", SMALL[kind]) as index:
        _, rows = index.search(p.query, 10)
        recall = index.recall(p.query, p.gallery, 10)
    best = np.argsort(-scores(p.query, p.gallery, "cosine"), axis=1, kind="stable")[:, :10]
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), best.tolist(), strict=True)])
    assert recall == pytest.approx(share)
    assert 0 < recall < 1


def test_recall_counts_an_image_that_ties_with_the_last():
    assert recall_of(np.array([[3.0, 1.0]]), np.array([[3.0, 1.0]])) == 1
    assert recall_of(np.array([[3.0, 0.5]]), np.array([[3.0, 1.0]])) == 0.5
    assert recall_of(np.array([[3.0, -np.inf]]), np.array([[3.0, 2.0]])) == 0.5
    assert recall_of(np.array([[3.0, -np.inf]]), np.array([[3.0, -np.inf]])) == 1


@pytest.mark.parametrize("kind", ["ivf", "pq"])
def test_the_seed_draws_what_is_learnt_from(kind, p):
    gallery = np.repeat(p.gallery, 4, axis=0) + np.random.default_rng(0).normal(size=(2400, 16)) * 0.1
    settings = SearchSettings(kind, nlist=16, nprobe=1, m=4, bits=4, refine=1)
    one, same, other = (SearchIndex.build(gallery, settings=settings, seed=s).search(p.query, 10)[1] for s in (5, 5, 6))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["exact", *WHOLE])
def test_a_saved_index_answers_as_before(kind, metric, p, tmp_path):
    path = tmp_path / "new" / "gallery.index"
    built = SearchIndex.build(p.gallery * 50, metric, SMALL.get(kind, SearchSettings()), seed=4)
    built.save(path)
    assert [file.name for file in path.parent.iterdir()] == ["gallery.index"]
    loaded = SearchIndex.load(path, p.gallery * 50)
    assert loaded.facts == built.facts
    assert loaded.facts.faiss == ("" if kind == "exact" else faiss.__version__)
    for a, b in zip(built.search(p.query, 7), loaded.search(p.query, 7), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("metric", METRICS)
def test_without_its_features_an_index_gives_its_own_scores(metric, p, tmp_path):
    SearchIndex.build(p.gallery * 50, metric, WHOLE["ivf"]).save(tmp_path / "i")
    found, rows = SearchIndex.load(tmp_path / "i").search(p.query, 10)
    exact, expected = topk(p.query, p.gallery * 50, 10, metric)
    np.testing.assert_allclose(found, exact, rtol=0.02, atol=0.01)
    assert (rows == expected).mean() > 0.9


def test_an_exact_index_needs_its_features(p, tmp_path):
    SearchIndex.build(p.gallery, settings="exact").save(tmp_path / "i")
    with pytest.raises(ConfigError, match="an exact index is its gallery"):
        SearchIndex.load(tmp_path / "i")


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_other_features_are_refused(kind, p, tmp_path):
    path = tmp_path / "i"
    with SearchIndex.build(p.gallery, settings=SearchSettings(kind)) as index:
        index.save(path)
    changed = p.gallery.copy()
    changed[599, 15] += 1e-3
    with pytest.raises(FeatureError, match=r"i was made from other features \(hash \w{12}, the gallery's is \w{12}\)"):
        SearchIndex.load(path, changed)
    with pytest.raises(FeatureError, match="600 x 16 features, the gallery is 599 x 16"):
        SearchIndex.load(path, p.gallery[:-1])
    with pytest.raises(FeatureError, match="other features"):
        SearchIndex.load(path, p.gallery.astype(np.float64))
    with pytest.raises(FeatureError, match="other features"):
        SearchIndex.load(path, p.gallery).recall(p.query, changed, 5)


@pytest.mark.parametrize("keep", [0, 5, 0.5, -1])
def test_a_truncated_file_is_refused(keep, p, tmp_path):
    path = tmp_path / "i"
    SearchIndex.build(p.gallery, settings="ivf").save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(FeatureError, match=r"i: .*Build the index again"):
        SearchIndex.load(path, p.gallery)


def test_a_damaged_file_is_refused(p, tmp_path):
    path = tmp_path / "i"
    SearchIndex.build(p.gallery, settings="ivf").save(path)
    whole = bytearray(path.read_bytes())
    whole[1000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(FeatureError, match="checksum is wrong"):
        SearchIndex.load(path, p.gallery)
    with pytest.raises(FeatureError, match="no such index"):
        SearchIndex.load(tmp_path / "other")
    path.write_bytes(b"facts" + (6).to_bytes(8, "little") + index_file.MAGIC)
    with pytest.raises(FeatureError, match="the index ends too early, after"):
        SearchIndex.load(path)


def test_tiles_without_a_held_row_are_passed_over(p):
    rows = np.arange(580, 600)
    index = faiss.IndexFlatL2(16)
    scaled = SearchRows(FeatureTable(p.gallery, CPU), None)
    fill_index(index, scaled, rows, SearchSettings("ivf"), 0, 2 * 20 * 16 * 100)  # six tiles of 100 rows
    assert np.array_equal(index.reconstruct_n(0, 20), scaled.slice(580, 600).numpy())


def test_facts_of_another_format_are_refused(p, tmp_path):
    path = tmp_path / "i"
    SearchIndex.build(p.gallery, settings="exact").save(path)
    content = path.read_bytes()[: -8 - len(index_file.MAGIC)]
    footer = json.dumps({**json.loads(content), "colour": 1}).encode()
    path.write_bytes(footer + len(footer).to_bytes(8, "little") + index_file.MAGIC)
    with pytest.raises(FeatureError, match="colour"):
        SearchIndex.load(path, p.gallery)


@pytest.mark.parametrize("kind", list(WHOLE))
def test_a_loaded_index_is_mapped_and_may_be_replaced_meanwhile(kind, p, tmp_path):
    path = tmp_path / "gallery.index"
    built = SearchIndex.build(p.gallery, settings=WHOLE[kind])
    built.save(path)
    index = SearchIndex.load(path, p.gallery)
    if sys.platform == "linux":
        assert str(path) in Path("/proc/self/maps").read_text()
    index.save(tmp_path / "copy.index")
    assert (tmp_path / "copy.index").read_bytes() == path.read_bytes()
    SearchIndex.build(p.gallery[:50], settings="ivf").save(path)
    assert np.array_equal(index.search(p.query, 10)[1], built.search(p.query, 10)[1])


@pytest.mark.parametrize(
    ("kind", "more"), [("ivf", {"nprobe": 32}), ("pq", {"nprobe": 8, "refine": 100}), ("hnsw", {"refine": 300})]
)
def test_a_loaded_index_may_look_further_than_it_was_made_for(kind, more, p, tmp_path):
    built = SearchIndex.build(p.gallery, settings=SMALL[kind])
    built.save(tmp_path / "i")
    index = SearchIndex.load(tmp_path / "i", p.gallery, effort=replace(SMALL[kind], **more))
    before, after = (each.recall(p.query, p.gallery, 10) for each in (built, index))
    assert before < after
    assert index.facts.settings == replace(SMALL[kind], **more)
    with pytest.raises(FeatureError, match="other features"):
        SearchIndex.load(tmp_path / "i", p.gallery + 1, effort=SMALL[kind])


def test_facts_are_read_alone_and_the_digest_names_the_build(p, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        SearchIndex.build(p.gallery, settings=SMALL["ivf"], seed=seed).save(tmp_path / name)
    a, b, c = (index_file.read_facts(tmp_path / name) for name in "abc")
    assert a == b
    assert (a[0].seed, c[0].seed) == (1, 2)
    assert a[1] != c[1]
    (tmp_path / "d").write_bytes(b"something else")
    with pytest.raises(FeatureError, match="not an index"):
        index_file.read_facts(tmp_path / "d")


def test_progress_is_told(p, tmp_path):
    told = []
    index = SearchIndex.build(p.gallery, "dot", "ivf", watch=lambda *step: told.append(step))
    index.save(tmp_path / "i", lambda *step: told.append(step))
    assert list(dict.fromkeys(what for what, _, _ in told)) == [
        "checking the features",
        "measuring the features",
        "hashing the features",
        "learning from a sample",
        "filling the index",
        "writing the index",
    ]
    assert all(0 <= done <= total for _, done, total in told)
    assert ("filling the index", 600, 600) in told
    told.clear()
    SearchIndex.load(tmp_path / "i", p.gallery, watch=lambda *step: told.append(step))
    size = (tmp_path / "i").stat().st_size
    assert told[-1] == ("checking the features", 600, 600)
    assert size - 1000 < max(done for what, done, _ in told if what == "checking the index") < size


def test_a_full_disk_leaves_the_old_index(p, tmp_path, monkeypatch):
    path = tmp_path / "i"
    SearchIndex.build(p.gallery, settings="ivf").save(path)
    before = path.read_bytes()
    monkeypatch.setattr(index_file.os, "fsync", _no_space)
    with pytest.raises(FeatureError, match="No space left"):
        SearchIndex.build(p.gallery, settings="pq").save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["i"]


def _no_space(_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_hash_is_that_of_the_stored_numbers(p, tmp_path):
    def named(features):
        return feature_hash(FeatureTable(features, CPU))

    np.save(tmp_path / "f.npy", p.gallery)
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    name = named(p.gallery)
    assert {named(mapped), named(torch.from_numpy(p.gallery)), named(np.asfortranarray(p.gallery))} == {name}
    assert named(p.gallery.astype(">f4")) == name
    others = (p.gallery[:-1], p.gallery.reshape(300, 32), p.gallery.view(np.int32).view(np.float32)[::-1].copy())
    assert len({name, *map(named, others), named(torch.from_numpy(p.gallery).bfloat16())}) == 5


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_an_unknown_metric_is_refused(kind, p):
    with pytest.raises(ConfigError, match="metric='cos': expected one of cosine, dot, euclidean"):
        SearchIndex.build(p.gallery, "cos", kind)


def test_bad_calls_are_refused(p):
    index = SearchIndex.build(p.gallery, settings="ivf")
    with pytest.raises(FeatureError, match="k=601: expected 1 to 600"):
        index.search(p.query, 601)
    with pytest.raises(FeatureError, match="9 dimensions, those of the index 16"):
        index.search(p.query[:, :9], 3)
    broken = p.gallery.copy()
    broken[7, 3] = np.nan
    with pytest.raises(NonFiniteFeaturesError, match="row 7"):
        SearchIndex.build(broken)
    with pytest.raises(NonFiniteFeaturesError, match="query"):
        index.search(broken, 3)
    index.close()
    with pytest.raises(RuntimeError, match="closed"):
        index.search(p.query, 1)


def test_a_part_of_a_gallery_is_not_saved(p, tmp_path):
    rows = np.arange(0, 600, 3)
    index = SearchIndex.build(p.gallery, settings=WHOLE["ivf"], rows=rows)
    assert np.isin(index.search(p.query, 200)[1], rows).all()
    assert index.recall(p.query, p.gallery, 10) == 1
    with pytest.raises(ConfigError, match="part of a gallery"):
        index.save(tmp_path / "i")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["exact", *WHOLE])
def test_ranked_lists_leave_junk_and_unknown_out(kind, metric, p, caplog):
    pairs = same_identity_pairs(p.q_pid, p.g_pid, p.q_cam, p.g_cam)
    settings = WHOLE.get(kind, SearchSettings())
    tables = FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU)
    with caplog.at_level(logging.INFO, logger="wsreid"):
        lists, recall = ranked_lists(*tables, p.g_pid != -1, pairs, 40, metric=metric, settings=settings, memory=2**20)
    s = scores(p.query, p.gallery, metric)
    for i, mine in enumerate(lists):
        junk = (p.g_pid == p.q_pid[i]) & (p.g_cam == p.q_cam[i]) & (p.q_cam[i] != -1)
        order = [j for j in np.argsort(-s[i], kind="stable") if p.g_pid[j] != -1 and not junk[j]][:40]
        assert mine.tolist() == order
    assert recall == (None if kind == "exact" else 1)
    assert ("recall@40 1.0000 against exact search, on 20 queries" in caplog.text) == (kind != "exact")


@pytest.mark.parametrize("kind", list(SMALL))
def test_the_recall_of_ranked_lists_is_their_own(kind, p):
    big = make_problem(5, queries=150, images=600, width=16, ids=30)
    pairs = same_identity_pairs(big.q_pid, big.g_pid, big.q_cam, big.g_cam)
    tables = FeatureTable(big.query, CPU), FeatureTable(big.gallery, CPU)
    known = big.g_pid != -1
    options = {"metric": "cosine", "memory": 2**24}
    lists, recall = ranked_lists(*tables, known, pairs, 5, settings=SMALL[kind], **options)
    exact, none = ranked_lists(*tables, known, pairs, 5, settings=SearchSettings(), **options)
    assert none is None
    sample = np.unique(np.linspace(0, 149, 100).round().astype(int))
    found = np.mean([len(set(lists[i][lists[i] >= 0]) & set(exact[i])) / 5 for i in sample])
    assert recall == pytest.approx(found)
    assert 0 < recall < 1


def test_without_faiss_an_approximate_index_is_refused(p, monkeypatch):
    monkeypatch.setattr(faiss_library, "faiss_or_none", lambda: None)
    with pytest.raises(ConfigError, match="pip install faiss-cpu"):
        SearchIndex.build(p.gallery, settings="ivf")


class TestGpuChoice:
    """Which settings go to the GPU; no GPU is needed to ask."""

    CUDA = torch.device("cuda", 0)

    def test_it_is_asked_for_in_vain(self, monkeypatch):
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
        with pytest.raises(ConfigError, match="FAISS sees none"):
            faiss_library.on_gpu(SearchSettings("ivf", gpu=True), CPU)

    def test_without_one_the_cpu_searches_and_it_is_said(self, monkeypatch, caplog):
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
        with caplog.at_level(logging.INFO, logger="wsreid"):
            assert not faiss_library.on_gpu(SearchSettings("ivf"), self.CUDA)
        assert "sees no GPU" in caplog.text

    def test_with_one(self, monkeypatch):
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
        monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
        assert faiss_library.on_gpu(SearchSettings("pq"), self.CUDA)
        assert faiss_library.on_gpu(SearchSettings("ivf", gpu=True), CPU)
        assert not faiss_library.on_gpu(SearchSettings("ivf"), CPU)
        assert not faiss_library.on_gpu(SearchSettings("hnsw"), self.CUDA)
        assert not faiss_library.on_gpu(SearchSettings("ivf", gpu=False), self.CUDA)

    def test_limits_of_the_gpu_are_named(self, p, monkeypatch):
        index = SearchIndex.build(p.gallery, settings=SearchSettings("ivf", refine=100))
        table = FeatureTable(p.query, CPU)
        index._resources = object()
        with pytest.raises(ConfigError, match="FAISS stops at 2048 on the GPU"):
            index.propose(table, 2000, extra=49)
        monkeypatch.setattr("wsreid.retrieval.index.on_gpu", lambda *_: True)
        with pytest.raises(ConfigError, match="needs 8 bits and m one of"):
            SearchIndex.build(p.gallery, settings=SearchSettings("pq", bits=4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available() or faiss.get_num_gpus() == 0, reason="no GPU that FAISS can use")
@pytest.mark.parametrize("kind", ["ivf", "pq"])
def test_the_gpu_finds_the_same(kind, tmp_path):
    p = make_problem(3, queries=20, images=3000, width=64)
    settings = SearchSettings(kind, nlist=8, nprobe=8, m=32 if kind == "pq" else None, refine=50)
    with SearchIndex.build(p.gallery, settings=settings, device="cuda") as index:
        found = index.search(p.query, 10)
        index.save(tmp_path / "i")
    expected = topk(p.query, p.gallery, 10)
    assert (found[1] == expected[1]).mean() > 0.95
    assert (SearchIndex.load(tmp_path / "i", p.gallery).search(p.query, 10)[1] == expected[1]).mean() > 0.95


def test_a_program_that_gives_faiss_tensors_can_use_an_index_too():
    code = (
        "import numpy as np, faiss, faiss.contrib.torch_utils\n"
        "from wsreid.retrieval.index import SearchIndex\n"
        "g = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)\n"
        "for kind in ('hnsw', 'ivf'):\n"
        "    with SearchIndex.build(g, 'cosine', kind, seed=0) as index:\n"
        "        print((index.search(g[:20], 1)[1][:, 0] == np.arange(20)).mean() > 0.9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
