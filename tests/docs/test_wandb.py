"""docs/wandb.md names each option, each thing that is logged, and each sweep."""

import re
from dataclasses import fields
from pathlib import Path

from wsreid.report import wandb_report
from wsreid.retrieval.callback import BEST
from wsreid.tracking.wandb_settings import WandbSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wandb.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))


def test_each_option_and_its_default() -> None:
    rows = {
        name: line
        for line in PAGE.splitlines()
        for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }
    for field in fields(WandbSettings):
        assert field.name in rows, field.name
        if isinstance(field.default, (int, float)):
            assert f"| {str(field.default).lower().removesuffix('.0')} |" in rows[field.name], field.name


def test_each_thing_that_is_logged() -> None:
    keys = {*wandb_report.RANKED, *wandb_report.PICTURES, *wandb_report.TABLES, "val/queries", wandb_report.STEP}
    assert keys | {f"best/{name}" for name in BEST} <= NAMED


def test_each_sweep() -> None:
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "experiments" / "sweeps").glob("*.yaml")}
    assert {name for name in NAMED if name.startswith("experiments/sweeps/")} == there
