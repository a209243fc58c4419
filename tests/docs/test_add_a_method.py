"""The method that the documentation shows is one that runs."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.experiments.test_configs import EXPERIMENTS, TINY_RUN
from wsreid import load_run
from wsreid.cli import main
from wsreid.errors import DataError
from wsreid.tracking.csv_logger import read_metrics

PAGE = Path(__file__).parents[2] / "docs" / "add-a-method.md"


def test_the_method_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "my_method.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    data = ["--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"]
    method = ["--model", "my_method.RandomGuess", "--model.weight", "0.5", "--model.backbone", "osnet_x0_25"]
    config = ["--config", str(EXPERIMENTS / "quickstart.yaml"), "--run", str(tmp_path / "run")]
    cli = main(["fit", *config, *method, *data, *TINY_RUN])
    assert type(cli.model).__name__ == "RandomGuess"
    assert cli.model.weight == 0.5
    with pytest.raises(DataError, match="--allow my_method"):  # somebody else's run may name any class
        _ = load_run(tmp_path / "run").method
    assert type(load_run(tmp_path / "run", allow=["my_method"]).method).__name__ == "RandomGuess"
    _, rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert any(float(row["train/guess"] or 0) > 0 for row in rows)
    assert 24 < len(code.splitlines()) < 48  # a few dozen, as this page and README.md say

    capsys.readouterr()
    (settings,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("my_method.yaml").write_text(settings, encoding="utf-8")
    (line,) = [found for found in PAGE.read_text(encoding="utf-8").splitlines() if "--config my_method.yaml" in found]
    with pytest.raises(SystemExit):
        main([*line.split()[3:], "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["class_path"] == "my_method.RandomGuess"
    named = yaml.safe_load(settings)["model"]["init_args"]
    assert {name: printed["model"]["init_args"][name] for name in named} == named
