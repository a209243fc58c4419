import pytest

from wsreid.errors import ConfigError
from wsreid.study.pages import shown_in

TABLES = "# s\n\nAbout.\n\n## n2\n\n| a |\n|---|\n"


def test_what_stands_between_the_marks_is_made_anew(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n<!-- study s -->\nold\n<!-- end of study s -->\nrest\n<!-- study t -->\n<!-- end of study t -->\n"
    )
    assert shown_in([page, tmp_path / "none.md"], "s", TABLES) == [page]
    text = page.read_text()
    assert text.startswith("# Page\n<!-- study s -->\n\n### s\n\nAbout.\n\n#### n2\n")
    assert text.endswith("<!-- end of study s -->\nrest\n<!-- study t -->\n<!-- end of study t -->\n")
    assert "old" not in text
    assert shown_in([page], "s", TABLES) == []


def test_pages_without_marks_stay(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    assert shown_in([page], "s", TABLES) == []
    assert page.read_text() == "nothing here"


def test_a_mark_without_its_end_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- study s -->")
    with pytest.raises(ConfigError, match="end of study s"):
        shown_in([page], "s", TABLES)
