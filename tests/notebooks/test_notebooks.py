"""The notebooks run from top to bottom, use the public API alone, and lie in git without outputs."""

import ast
import re
import resource
from pathlib import Path

import nbformat
import pytest
from nbmake.nb_run import NotebookRun

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("01_bags", "02_compare", "03_graph_model", "04_failures", "05_own_images")
LIMIT_S = 120


def cells(name, kind):
    return [cell["source"] for cell in nbformat.read(FOLDER / f"{name}.ipynb", 4)["cells"] if cell["cell_type"] == kind]


def code(name):
    text = "\n".join(cells(name, "code"))
    return ast.parse("\n".join(line for line in text.splitlines() if not line.startswith("%")))


def test_each_notebook_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])])
def test_it_runs_on_one_core_in_less_than_two_minutes(name, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = seconds_of_kernels()
    error = NotebookRun(FOLDER / f"{name}.ipynb", default_timeout=20 * LIMIT_S).execute().error
    assert error is None, error.trace
    assert 0 < seconds_of_kernels() - before < LIMIT_S


def seconds_of_kernels():
    """Seconds on the CPU of all child processes that have ended; not by the clock, as the machine may be busy."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("name", NAMES)
def test_it_lies_in_git_without_outputs(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    nbformat.validate(notebook)
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NAMES)
def test_it_uses_the_public_api_alone(name):
    for node in ast.walk(code(name)):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr
        if isinstance(node, ast.ImportFrom):
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not any(part.startswith("_") for part in parts), parts


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_short_and_links_lead_somewhere(name):
    for source in cells(name, "code"):
        assert len(source.splitlines()) <= 30
    for link in re.findall(r"\]\(([^)]+)\)", "\n".join(cells(name, "markdown"))):
        assert (FOLDER / link).is_file(), link
    for page in re.findall(r"`(docs/[^`]+)`", "\n".join(cells(name, "markdown"))):
        assert (FOLDER.parent / page).is_file(), page
