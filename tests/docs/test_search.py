"""docs/search.md explains each option of the command, and its Python runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY_RENDERED, write_image
from wsreid.cli import main, search

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")


def test_each_option_of_the_command_is_explained(capsys):
    with pytest.raises(SystemExit):
        search.run(["--help"])
    options = set(re.findall(r"--[a-z_]+", capsys.readouterr().out)) - {"--help"}
    assert {option for option in options if not re.search(rf"{option}\b", PAGE)} == set()
    assert len(options) > 10


def test_the_python_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "x.jpg", seed=1)
    fit = ["fit", "--model", "BagCE", "--model.backbone", "test_resnet", "--run", "RUN", *TINY_RENDERED]
    fit += ["--data.height", "32", "--data.width", "16", "--trainer.max_epochs", "1", "--trainer.limit_train_batches"]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
    main([*fit, "2", "--trainer.enable_model_summary", "false", "--pictures.queries", "0", *quiet])
    main(["predict", "--config", "RUN/config.yaml", "--run", "RUN", "--ckpt_path", "last"])
    code = re.search(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[1]
    *lines, last = code.strip().splitlines()
    names = {}
    exec("\n".join(lines), names)
    rows, recall = eval(last, names)
    answer = search.run(["--run", "RUN", "--image", "x.jpg", "--top", "10"]).results[0]
    assert rows.tolist() == [hit.row for hit in answer.hits]
    assert np.isclose(recall, 1)
