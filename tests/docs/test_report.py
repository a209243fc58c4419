"""docs/report.md names what there is."""

import re
from pathlib import Path

import pytest

from wsreid.cli import main
from wsreid.report.bag_size_curves import OPTION
from wsreid.report.chart import MOST_EPOCHS
from wsreid.report.labelled_bags import SHOWN_IMAGES
from wsreid.report.page_file import _own
from wsreid.report.ranked_lists import LENGTH
from wsreid.report.thumbnails import SIZES

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def test_each_option_is_named_with_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    shown = capsys.readouterr().out
    options = set(re.findall(r"--\w+", shown)) - {"--help"}
    assert options <= set(re.findall(r"--\w+", PAGE))
    for default in ("--queries 200", "--bags 3"):
        assert default in PAGE
        assert f"default: {default.split()[1]}" in " ".join(shown.split())


def test_each_section_is_named():
    heads = re.findall(r"<h2[^>]*>([^<{]+)</h2>", _own("report.html"))
    assert len(heads) == 5
    for head in heads:
        assert f"| {head} |" in PAGE


def test_its_numbers_are_those_of_the_code():
    words = {10: "ten", 12: "twelve"}
    assert f"The {words[LENGTH]} best" in PAGE.replace("the ten", "The ten")
    assert f"at most {words[SHOWN_IMAGES]} are shown" in PAGE
    assert f"of more than {MOST_EPOCHS} epochs {MOST_EPOCHS} are drawn" in PAGE
    assert f"from {SIZES[0][0]}\nto {SIZES[-1][0]} pixels" in PAGE
    assert f"`{OPTION}`" in PAGE
