"""The embedding benchmark on a handful of small images."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from wsreid.models import build_network

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("embed")


@pytest.mark.slow  # embeds the rendered images six times
def test_each_way_has_a_row_with_its_accuracy(bench, capsys, tmp_path):
    torch.manual_seed(0)
    torch.save(build_network("osnet_x0_25", neck="none").state_dict(), tmp_path / "w.pth")
    ways = ["inference", "channels_last", "folded", "bf16", "onnx"]
    args = ["--tiny", "--device", "cpu", "--networks", "osnet_x0_25", "--weights", f"osnet_x0_25={tmp_path / 'w.pth'}"]
    result = bench.main([*args, "--ways", *ways])
    *lines, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == result
    assert sum(line.startswith("| osnet") for line in lines) == 6
    rows = {row["way"]: row for row in result["rows"]}
    assert list(rows) == ["eager", *ways]
    assert rows["eager"]["times_eager"] == 1
    assert all(row["images_s"] > 0 and row["of_product"] > 0 for row in rows.values())
    for way in ("inference", "channels_last", "folded", "onnx"):
        assert rows[way]["within"]
        assert rows[way]["cosine"] > 0.9999
        assert rows["bf16"]["cosine"] < rows[way]["cosine"]
    gflop = result["products"]["osnet_x0_25"]["gflop_image"]
    assert rows["folded"]["gflop_s"] == pytest.approx(rows["folded"]["images_s"] * gflop)


def test_without_weights_nothing_is_ranked_and_what_there_is_no_time_for_is_named(bench, capsys):
    result = bench.main(
        ["--tiny", "--device", "cpu", "--networks", "test_resnet", "--ways", "folded", "--seconds", "0"]
    )
    assert [(row["way"], row["rank1"], row["within"]) for row in result["rows"]] == [("eager", None, None)]
    assert result["left_out"] == ["test_resnet: folded"]
    assert "Left out after 0 s: test_resnet: folded" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="expected NETWORK=FILE"):
        bench.main(["--tiny", "--weights", "w.pth"])


def test_operations_of_an_image_are_counted_two_for_each_multiply_add(bench):
    network = torch.nn.Conv2d(3, 6, 3, groups=3, bias=False)
    assert bench.flops_of_image(network, 6, 7) == 2 * 9 * 6 * (4 * 5)


def test_a_way_is_what_its_name_says(bench, tmp_path):
    network = build_network("test_resnet", neck="none")
    ways = bench.Ways(network, None, torch.device("cpu"), tmp_path)
    ways.recipe = type("R", (), {"height": 32, "width": 16, "mean": (0.5,) * 3, "std": (0.5,) * 3, "flip_test": False})
    images = torch.randint(0, 256, (2, 3, 32, 16), dtype=torch.uint8)
    assert not ways.way("eager")(images).is_inference()
    assert ways.way("inference")(images).is_inference()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in ways.folded.modules())
    exact, half = ways.way("channels_last")(images), ways.way("bf16")(images)
    torch.testing.assert_close(ways.way("folded")(images), exact, atol=1e-4, rtol=1e-3)
    assert half.dtype == torch.float32
    assert 1e-5 < float((half - exact).abs().max() / exact.abs().max()) < 0.2
