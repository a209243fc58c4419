"""The pages stand in the site's menu, their commands are real, and what they quote is what was measured."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import re
import shlex
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jsonargparse
import pytest
import yaml

import wsreid.methods
from wsreid.cli.main import OTHERS, SUITE, main
from wsreid.cli.study_check import _problems
from wsreid.errors import WsreidError
from wsreid.methods import Method

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
METHODS = {
    name
    for name, kind in vars(wsreid.methods).items()
    if inspect.isclass(kind) and issubclass(kind, Method) and kind is not Method
}
OURS = ["python", "-m", "wsreid"]
SHORTENED = "..."  # a line with it stands for several
ELSEWHERE = "my_method"  # a method of the reader's: tests/docs/test_add_a_method.py runs it


class Parsed(Exception):  # noqa: N818  # no error: the command line was taken, and nothing is to be run
    pass


def commands(page: Path) -> list[list[str]]:
    """What is behind `python -m wsreid` on a page, in blocks and within a line."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    within = re.findall(r"`([^`\n]*python -m wsreid[^`\n]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = []
    for line in [*blocks.splitlines(), *within]:
        words = shlex.split(line, comments=True)
        starts = [i for i in range(len(words)) if words[i : i + 3] == OURS]
        found += [words[i + 3 :] for i in starts]
    return [[word.strip("[]") if word.startswith("[--") or word.endswith("]") else word for word in w] for w in found]


ALL = [(page.name, words) for page in PAGES for words in commands(page)]
WHOLE = [(name, words) for name, words in ALL if SHORTENED not in words and len(words) > 1]


def test_each_command_exists() -> None:
    assert {words[0] for _, words in ALL if words} - {*SUITE, *OTHERS, "--help"} == set()
    assert {name for name, _ in WHOLE} >= {"README.md", "tutorial.md", "data.md", "studies.md"}


def test_lightnings_commands_take_their_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = []
    for name, words in WHOLE:
        if words[0] not in SUITE or ELSEWHERE in " ".join(words) or "--help" in words:
            continue
        # A configuration of a run of the reader's is not there; one of the suite has the same options.
        own = ["experiments/quickstart.yaml" if "RUN/" in w and w.endswith("config.yaml") else w for w in words]
        lines.append((name, [word for word in own if word != "--print_config"]))
    assert len(lines) > 15
    typo = ["fit", "--config", "experiments/quickstart.yaml", "--model.lrr", "1"]
    *wrong, found = _problems([*(words for _, words in lines), typo])  # one parser for all: it takes seconds to make
    assert [(line, problem) for line, problem in zip(lines, wrong, strict=True) if problem is not None] == []
    assert found is not None
    assert "--model.lr" in found


def taken(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parses a command line, and ends the command then."""
    parse, depth = jsonargparse.ArgumentParser.parse_args, 0

    def parse_alone(self: jsonargparse.ArgumentParser, *args: object, **options: object) -> None:
        nonlocal depth
        depth += 1
        try:
            found = parse(self, *args, **options)
        finally:
            depth -= 1
        if depth == 0:  # the parser of a class within the options calls it too
            raise Parsed
        return found

    with monkeypatch.context() as patch:
        patch.setattr(jsonargparse.ArgumentParser, "parse_args", parse_alone)
        main(words)


def test_the_other_commands_take_their_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    wrong = []
    lines = [(name, words) for name, words in WHOLE if words[0] in OTHERS and words[:2] != ["prepare", "NAME"]]
    for name, words in lines:
        try:
            taken(words, monkeypatch)
            wrong.append((name, words, "was not parsed"))
        except (Parsed, SystemExit):
            pass
        except WsreidError as error:
            wrong.append((name, words, str(error)))
    assert wrong == []
    assert {words[0] for _, words in lines} >= {"bags", "compare", "evaluate", "prepare", "report", "stats", "study"}
    with pytest.raises(WsreidError, match="--formt"):
        taken(["compare", "runs", "--formt", "md"], monkeypatch)


def test_each_page_is_in_the_menu() -> None:
    def leaves(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [leaf for each in (entry.values() if isinstance(entry, dict) else entry) for leaf in leaves(each)]

    menu = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(menu) == [page.name for page in sorted(DOCS.glob("*.md"))]
    start = (DOCS / "index.md").read_text(encoding="utf-8")
    assert {page for page in menu if page != "index.md" and f"({page})" not in start} == set()


def test_each_method_has_its_section_with_the_measured_figure() -> None:
    page = (DOCS / "methods.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"\n### (\w+)\n(.*?)(?=\n##|\Z)", page, flags=re.DOTALL))
    assert set(sections) == METHODS
    table = (ROOT / "experiments" / "results" / "synthetic" / "table.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if "±" in line and "|" in line
    ]
    measured = {row[0]: f"mAP {row[3]}" for row in rows}
    # FolderCE has no folders there, Transfer is never trained, Distill has a teacher that the others lack
    assert len(measured) == len(METHODS) - 3
    for name, section in sections.items():
        assert f"::: wsreid.methods.{name}\n" in section
        assert re.findall(r"mAP \d+\.\d ± \d+\.\d", section.replace("\n", " ")) == (
            [measured[name]] if name in measured else []
        )


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("links_out", DOCS / "links_out.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def through(hook: ModuleType, text: str) -> str:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))
    return str(hook.on_page_markdown(text, page, SimpleNamespace(docs_dir=str(DOCS)), None))


def test_links_out_of_docs_are_shown_as_places(hook: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert through(hook, "[README](../README.md#x), [a](data.md)") == "README (`README.md`), [a](data.md)"
        assert through(hook, "[LICENSE](../LICENSE)") == "`LICENSE`"
        assert through(hook, "[d](../docs/data.md)") == "[d](../docs/data.md)"
        assert caplog.records == []
        through(hook, "[gone](../experiments/GONE.md), [out](../../elsewhere)")
    assert ["GONE" in record.getMessage() or "elsewhere" in record.getMessage() for record in caplog.records] == [
        True
    ] * 2
    assert {record.name.partition(".")[0] for record in caplog.records} == {"mkdocs"}  # strict builds count these alone
