"""The commands and the code that README.md, docs/evaluate.md and docs/metrics.md show are ones that run."""

import math
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed as dist

from tests.experiments.test_configs import EXPERIMENTS, TINY_RUN
from wsreid.cli import main
from wsreid.retrieval import PROTOCOLS, RetrievalResult, SearchSettings, evaluate
from wsreid.retrieval.feature_columns import ALIASES
from wsreid.retrieval.shard_writer import ShardSettings

ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/evaluate.md", "docs/metrics.md")
}
EVALUATE = "python -m wsreid evaluate --query q.npz --gallery g.npz --protocol sysu30k"
IDS = 24


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], flags=re.DOTALL)


def commands(page: str, name: str) -> list[str]:
    lines = "".join(blocks(page, "bash")).splitlines()
    return [line for line in lines if line.startswith(f"python -m wsreid {name} ")]


def section(page: str, title: str) -> str:
    return PAGES[page].split(f"\n## {title}\n")[1].split("\n## ")[0]


def shown_options() -> list[str]:
    """The second column of the table of options, each entry a piece of a command line."""
    rows = [row for row in section("docs/evaluate.md", "evaluate").splitlines() if row.startswith("| ")][1:]
    found = []
    for row in rows:
        last = ""
        for entry in re.findall(r"`([^`]+)`", row.split("|")[2]):
            if entry.startswith("--"):
                last = entry
                found.append(entry)
            elif entry in PROTOCOLS:  # `--protocol msmt17`, `none`
                found.append(f"{last.split()[0]} {entry}")
    return found


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the pages' code calls by name; its current folder holds q.npz and g.npz."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(IDS, 16)).astype(np.float32)
    q_pid = np.arange(IDS)
    g_pid = np.concatenate([np.repeat(q_pid, 2), np.full(IDS, 1000)])
    shown = np.concatenate([centres.repeat(2, axis=0), rng.normal(size=(IDS, 16)).astype(np.float32)])
    query, gallery = (x + rng.normal(size=x.shape).astype(np.float32) for x in (centres, shown))
    q_cam, g_cam = np.ones(IDS, dtype=np.int64), np.full(len(g_pid), 2)
    np.savez("q.npz", features=query, pid=q_pid, camera=q_cam)
    np.savez("g.npz", features=gallery, pid=g_pid, camera=g_cam)
    ids = {"q_pid": q_pid, "g_pid": g_pid, "q_cam": q_cam, "g_cam": g_cam}
    result = evaluate(query, gallery, **ids)
    return {"query": query, "gallery": gallery, **ids, "result": result, "other": result}


@pytest.fixture
def process_group() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def in_torch(names: dict[str, Any]) -> dict[str, Any]:
    """The same as a training step has them: tensors of one side each."""
    found = {}
    for side, whole in (("q", "query"), ("g", "gallery")):
        found |= {f"{side}_features": torch.from_numpy(names[whole]), f"{side}_row": torch.arange(len(names[whole]))}
        found |= {f"{side}_{key}": torch.from_numpy(names[f"{side}_{key}"]) for key in ("pid", "cam")}
    return found


@pytest.mark.parametrize("page", ["README.md", "docs/evaluate.md"])
def test_the_command_for_features_of_any_model_runs(page: str, names: dict[str, Any]) -> None:
    assert EVALUATE in commands(page, "evaluate")
    evaluation = main(shlex.split(EVALUATE)[3:])
    assert evaluation.result.cmc[0] == names["result"].cmc[0]
    assert evaluation.output == Path("g-evaluation.json")
    assert evaluation.output.is_file()


def test_each_shown_option_runs(names: dict[str, Any]) -> None:
    options = shown_options()
    assert {option.split()[0] for option in options} >= {"--rerank", "--expand.k", "--topk", "--protocol", "--config"}
    assert "--protocol none" in options
    Path("evaluate.yaml").write_text("protocol: sysu30k\nrerank: {k1: 10}\n", encoding="utf-8")
    for option in options:
        if option == "--device cuda:0" and not torch.cuda.is_available():
            continue
        evaluation = main(["evaluate", "--query", "q.npz", "--gallery", "g.npz", *option.split()])
        assert 0 < evaluation.result.map_step <= 1, option
    assert RetrievalResult.load("result.npz").topk.shape == (IDS, 10)
    assert Path("figures.json").is_file()


def test_the_code_for_figures_runs(names: dict[str, Any]) -> None:
    (readme,) = [code for code in blocks("README.md", "python") if "wsreid.retrieval" in code]
    ranked = []
    for code in [readme, *blocks("docs/metrics.md", "python")]:
        if "Ranks()" in code or "RetrievalMetric" in code:
            continue
        space = dict(names)
        if "result = " in code:
            del space["result"]
        exec(code, space)
        ranked.append(space["result"])
    assert len(ranked) == 6
    assert ranked[0].map_step == ranked[1].map_step == names["result"].map_step
    assert space["rows"].shape == (IDS, 10)
    assert Path("gallery.index").is_file()


def test_the_code_for_several_processes_runs(names: dict[str, Any], process_group: None) -> None:
    loop, metric = (c for c in blocks("docs/metrics.md", "python") if "Ranks()" in c or "RetrievalMetric" in c)
    mine = {"all_queries": names["query"], "my_part": names["gallery"], "my_pid": names["g_pid"]}
    space = names | mine | {"my_cam": names["g_cam"], "result": None}
    exec(loop, space)
    assert space["result"].map_step == names["result"].map_step
    space = in_torch(names)
    exec(metric, space)
    assert space["metric"].result.map_step == names["result"].map_step


def test_the_code_for_feature_files_runs(names: dict[str, Any]) -> None:
    (code,) = blocks("docs/evaluate.md", "python")
    sides = {"q_features": names["query"], "g_features": names["gallery"].astype(np.float16)}
    space = names | sides
    exec(code, space)
    assert np.array_equal(space["file"].pid, names["g_pid"])
    assert np.array_equal(space["file"].features, sides["g_features"])


def test_features_of_a_run_are_written_and_scored_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"]
    network = ["--model.backbone", "osnet_x0_25", "--model.last_stride", "1"]
    config = ["--config", str(EXPERIMENTS / "quickstart.yaml"), "--run", "RUN"]
    main(["fit", *config, *data, *network, *TINY_RUN, "--model.pretrained", "false", "--model.weights", "null"])
    (shown,) = commands("README.md", "predict")
    assert commands("docs/evaluate.md", "predict") == [shown]
    main(shlex.split(shown)[3:])
    score, _ = commands("docs/evaluate.md", "evaluate")
    figures = main(shlex.split(score)[3:]).result
    tested = RetrievalResult.load("RUN/retrieval.npz")
    assert figures.n_query == tested.n_query
    assert math.isclose(figures.map_step, tested.map_step, abs_tol=0.02)  # float16


def test_the_defaults_and_names_that_the_pages_state_are_those_of_the_code() -> None:
    page, definitions = PAGES["docs/evaluate.md"], PAGES["docs/metrics.md"]
    shards, search = ShardSettings(), SearchSettings()
    assert f"`--features.shard_images` ({shards.shard_images})" in page
    assert f"`--features.shard_seconds`\n({shards.shard_seconds:.0f})".replace("\n", " ") in page.replace("\n", " ")
    assert f"{shards.dtype} unless" in page
    for aliases in ALIASES.values():
        assert all(f"`{alias}`" in page for alias in aliases)
    assert f"`refine` ({search.refine})" in definitions
    assert f"(`temp_memory_mb`, {search.temp_memory_mb})" in definitions
    rows = {
        row.split("`")[1]: row for row in section("docs/metrics.md", "Protocols").splitlines() if row.startswith("| `")
    }
    assert set(rows) == set(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        cells = [cell.strip() for cell in rows[name].split("|")[1:-1]]
        assert ("own camera" in cells[1]) == protocol.same_camera_is_junk
        assert cells[2] == {"missed": "misses", "left_out": "left out"}[protocol.unmatched]
        assert cells[3].startswith({"R1": "R1", "mAP_step": "step mAP"}[protocol.headline])
        assert ("single shot" in cells[3]) == protocol.single_shot
        published = protocol.expected
        expected = "" if published is None else f"{published.query:,} x {published.gallery:,}"
        assert cells[4].partition(" (")[0] == expected
        if published is not None and published.raw_gallery is not None:
            assert f"({published.raw_gallery:,} with" in cells[4]


def test_links_between_the_pages_lead_somewhere() -> None:
    for name, text in PAGES.items():
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / name).parent / link).exists(), f"{name}: {link}"
