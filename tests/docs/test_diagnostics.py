"""docs/diagnostics.md names each figure that is logged and each column that is written."""

import re
from pathlib import Path

from wsreid.methods.diagnostics_callback import LOGGED
from wsreid.methods.diagnostics_file import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text(encoding="utf-8")


def test_each_figure_and_column_is_named() -> None:
    named = set(re.findall(r"`([^`\n]+)`", PAGE))
    figures = {name.removeprefix("train/") for name in LOGGED.values()}
    assert {name for name in figures if not name.endswith("_random")} <= named
    assert {"label_refine/*_random", "labels/confusion_random"} <= named
    others = set(COLUMNS) - {"epoch", "group"} - {name.rpartition("/")[2] for name in figures}
    assert others <= named
