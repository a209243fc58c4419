"""The benchmarks' functions on tiny tensors, and what they say where there is no GPU."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wsreid.retrieval import evaluate, read_features

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture
def load(monkeypatch):
    """Imports a benchmark as a script would: its folder first on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def features(load):
    return load("centre_noise")


@pytest.fixture
def gpu(load):
    return load("retrieval_gpu")


@pytest.fixture
def problem(features):
    gallery = features.distractors(500, 32, torch.float16, CPU, seed=0)
    return (features.plant(gallery, 12, 3, 0.5, seed=1), gallery)


def test_features_reach_the_rank_1_that_was_asked_for(features):
    for rank1, matches in ((0.3, 1), (0.3, 20), (0.9, 1), (0.9, 20)):
        gallery = features.distractors(8000, 256, torch.float32, CPU, seed=3)
        a = features.similarity_for(rank1, matches, 8000, 256)
        query, q_pid, g_pid = features.plant(gallery, 300, matches, a, seed=4)
        assert evaluate(query, gallery, q_pid=q_pid, g_pid=g_pid).cmc[0] == pytest.approx(rank1, abs=0.07)


def test_planted_rows_are_those_that_the_identities_name(features):
    before = features.distractors(500, 32, torch.float16, CPU, seed=0)
    gallery = before.clone()
    query, q_pid, g_pid = features.plant(gallery, 12, 3, 0.5, seed=1)
    changed = (gallery != before).any(1).numpy()
    np.testing.assert_array_equal(changed, g_pid < 12)
    assert (np.bincount(g_pid)[:12] == 3).all()
    assert len(set(g_pid[g_pid >= 12])) == 500 - 36
    own = (query.float() @ gallery.float().T).numpy()[q_pid[:, None] == g_pid]
    assert own.mean() == pytest.approx(0.5, abs=0.1)


def test_float16_features_are_the_float32_ones_rounded(features, monkeypatch):
    monkeypatch.setattr(features, "CHUNK", 700)  # several chunks
    full, half = (features.distractors(90, 32, dtype, CPU, seed=5) for dtype in (torch.float32, torch.float16))
    assert torch.equal(full.half(), half)
    assert len(torch.unique(full, dim=0)) == 90


@pytest.mark.parametrize("block", [8, 13, 32])
def test_product_in_blocks_is_the_product(gpu, problem, block):
    (query, *_), gallery = problem
    q, g = query.float(), gallery.float()
    np.testing.assert_allclose(gpu.product(q, g, block, torch.empty(12, 500)), q @ g.T, atol=1e-5)


def test_the_floor_is_the_fastest_bare_product(gpu, problem):
    (query, *_), gallery = problem
    floor, rows = gpu.floor_rows(query, gallery, 2)
    bare = [row for row in rows if row["product"] == "bare"]
    assert min(row["ms"] for row in bare) == pytest.approx(1000 * floor)
    assert rows[0]["TFLOP/s"] * rows[0]["ms"] == pytest.approx(2 * 12 * 500 * 32 / 1e9)


def test_the_timed_product_multiplies_all_tiles(gpu, problem, monkeypatch):
    (query, *_), gallery = problem
    pairs: list[int] = []
    real = gpu.product
    monkeypatch.setattr(
        gpu, "product", lambda q, g, block, out: pairs.append(len(q) * len(g)) or real(q, g, block, out)
    )
    gpu.product_seconds(query, gallery, 128, 32, 1)
    assert sum(pairs) == 2 * 12 * 500  # warmed up once, timed once


def test_counting_row_states_what_evaluate_finds(gpu, problem):
    (query, q_pid, g_pid), gallery = problem
    row = gpu.counting_row(query, gallery, q_pid, g_pid, floor=0.5, memory_mb=64, repeats=2)
    result = evaluate(query, gallery, q_pid=q_pid, g_pid=g_pid)
    assert row["R1"] == result.cmc[0]
    assert row["mAP"] == result.map_step
    assert row["matches"] == 3
    assert row["x floor"] == pytest.approx(row["count ms"] / 500)
    assert 0 < row["rechecked"] < 1


@pytest.mark.parametrize("tile", [60, 128, 500])
def test_torch_topk_is_the_head_of_a_sort(gpu, problem, tile):
    (query, *_), gallery = problem
    expected = np.argsort(-(query.float() @ gallery.float().T).numpy(), axis=1)[:, :20]
    np.testing.assert_array_equal(gpu.torch_topk(query, gallery, 20, tile), expected)


def test_lists_agree_and_faiss_may_be_missing(gpu, problem, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    (query, *_), gallery = problem
    rows = gpu.topk_rows(query, gallery, 10, floor=1.0, memory_mb=64, repeats=1)
    assert [row["same as torch"] for row in rows] == [1.0, 1.0, None]
    assert rows[2]["note"] == "not installed"


def test_ranks_that_differ_from_the_cpus_are_told(gpu, monkeypatch):
    real, before = gpu.evaluate, torch.are_deterministic_algorithms_enabled()
    calls: list[int] = []

    def wrong_every_second_time(*args, **kwargs):
        calls.append(1)
        result = real(*args, **kwargs)
        if len(calls) % 2:
            result.ranks[0][0] += 1
        return result

    assert set(gpu.same_as_cpu(CPU, 0).values()) == {"same", ""}
    monkeypatch.setattr(gpu, "evaluate", wrong_every_second_time)
    assert set(gpu.same_as_cpu(CPU, 0).values()) == {"DIFFERENT", ""}
    assert torch.are_deterministic_algorithms_enabled() == before


def test_without_a_gpu_it_says_so_and_ends_well(gpu, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main([])
    assert capsys.readouterr().out == "No CUDA device: nothing was measured.\n"


def test_all_of_it_runs_on_cpu_tensors(gpu, capsys):
    gpu.main(["--tiny", "--device", "cpu"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["device"] == "cpu"
    assert [len(found[name]) for name in ("products", "lists", "counting", "float16", "left out")] == [3, 3, 6, 4, 0]
    assert all(abs(row["R1 moves"]) <= 0.1 for row in found["float16"])


def test_what_there_is_no_time_for_is_named(gpu, capsys):
    gpu.main(["--tiny", "--device", "cpu", "--seconds", "0"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["products"]
    assert found["counting"] == found["lists"] == found["float16"] == []
    assert found["left out"][0]["what"] == "lists"
    assert len(found["left out"]) == 8


def test_the_cpu_benchmark_measures_ours_and_the_floor(load, capsys):
    module = load("retrieval")
    result = module.main(["--tiny", "--repeats", "1"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    compared = [row for row in result["rows"] if "ratio" in row]
    assert {row["size"] for row in compared} == {"needle", "wide", "market"}
    assert all(row["ratio"] > 0 and 0 <= row["rechecked"] <= 1 for row in compared)
    assert sum("times_faster" in row for row in result["rows"]) == 1
    assert sum(str(row["size"]).startswith("file") for row in result["rows"]) == 2


def test_the_search_benchmark_times_an_answer_from_a_saved_index(load, capsys):
    module = load("search")
    result = module.main(["--tiny", "--index", "ivf", "hnsw", "exact"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert (result["rows"], result["width"], result["queries"]) == (1600, 32, 5)
    ivf, hnsw, exact = result["indices"]
    assert [row["index"] for row in result["indices"]] == ["ivf", "hnsw", "exact"]
    for row in (ivf, hnsw):
        assert 0 < row["load s"] < row["make s"]
        assert 0 < row["answer s"] <= row["slowest s"]
        assert row["file MB"] > 0.1
        assert 0.5 < row["recall@10 of queries"] <= 1
        assert 0.5 < row["recall@10 of gallery images"] <= 1
    assert exact["recall@10 of queries"] == 1
    assert (exact["file MB"], exact["recall@10 of gallery images"]) == (0, None)
    assert result["left out"] == []


def test_the_search_benchmark_names_what_does_not_fit(load, capsys, monkeypatch):
    module = load("search")
    monkeypatch.setattr(module, "PROBE", 200)
    result = module.main(["--tiny", "--index", "hnsw", "--limit_s", "0"])
    assert [(row["index"], "the limit is 0" in row["why"]) for row in result["left out"]] == [("hnsw", True)]
    monkeypatch.setattr(module, "free_memory", lambda: 2**30)
    result = module.main(["--tiny", "--index", "ivf"])
    assert result["left out"] == [{"index": "ivf", "why": "needs 1.5 GiB, 1.0 are free"}]
    assert result["indices"] == []


def test_the_search_benchmarks_gallery_has_its_queries_matches(load, tmp_path, monkeypatch):
    module = load("search")
    monkeypatch.setattr(module, "CHUNK", 7)  # several chunks, the last one shorter
    query = module.make_gallery(tmp_path / "g.npy", rows=320, width=64, similarity=0.5, queries=4)
    found = read_features(tmp_path / "g.npy")
    assert found.features.shape == (320, 64)
    assert np.array_equal(np.bincount(found.pid), np.full(20, 16))
    chosen = np.linspace(0, 19, 4).round()
    own = np.array(
        [
            (q @ np.asarray(found.features, np.float32)[found.pid == pid].T).mean()
            for q, pid in zip(query, chosen, strict=True)
        ]
    )
    assert own == pytest.approx(0.5, abs=0.25)


def test_the_help_benchmark_times_commands_beside_lightning(load, monkeypatch):
    module = load("help")
    assert set(module.measured(1, ["", "weights"])) == {"", "weights"}
    asked = []
    monkeypatch.setattr(
        module, "taken", lambda words: asked.append(words) or module.Taken(*((3, 2) if "-c" in words else (3.5, 2.25)))
    )
    assert module.measured(2, ["", "fit"]) == {"": (3.5, 2.25), "lightning": (3, 2), "fit": (0.5, 0.25)}
    assert asked[1:3] == [module.LIGHTNING, ["-m", "wsreid", "fit", "--help"]]


def test_the_classifier_benchmark_compares_the_whole_with_its_parts(load, capsys):
    sizes = ["--images", "6", "--network_images", "2", "--classes", "41", "--width", "16", "--turns", "1"]
    result = load("classifier").main(["--backbone", "osnet_x0_25", "--size", "32", "16", "--processes", "4", *sizes])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    _, whole, part = result["rows"]
    assert (whole["rows"], whole["columns"], part["rows"], part["columns"]) == (6, 41, 24, 11)
    assert whole["kept MB"] == pytest.approx(4 * 41 * 16 * 4 / 1e6)
    assert result["saved MB"] == pytest.approx((4 * 30 * 16 + 2 * (6 * 41 - 24 * 11)) * 4 / 1e6)


@pytest.mark.slow  # three processes that load torch
def test_the_ranks_benchmark_scores_what_one_process_would(load, capsys):
    sizes = ["--rows", "400", "--width", "16", "--queries", "10", "--processes", "1", "2"]
    result = load("ranks").main(sizes)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert [(row["processes"], row["gallery"]) for row in result["found"]] == [(1, 400), (2, 800)]
    assert all(0 <= row["growth MiB"] < 100 and 0 <= row["R1"] <= 1 for row in result["found"])
