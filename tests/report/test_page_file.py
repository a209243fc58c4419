import json
import re

import pytest

from wsreid.report import page_file
from wsreid.report.page_file import SCRIPTS, script_json


def test_json_in_a_script_cannot_end_it():
    hostile = {"a": "</script><script>alert(1)</script><!--&\u2028"}
    text = script_json(hostile)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == hostile


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        script_json({"a": float("nan")})


def test_a_script_that_would_end_itself_is_refused(monkeypatch):
    monkeypatch.setattr(page_file, "get_plotlyjs", lambda: "a = '</SCRIPT>'")
    with pytest.raises(ValueError, match="would end it"):
        page_file.page({}, {})


def test_the_package_holds_all_that_the_page_needs():
    for name in (*SCRIPTS, "report.css"):
        assert len(page_file._own(name)) > 100
    used = set(re.findall(r'getElementById\("([\w-]+)"\)|at\("(\w+)"\)', "".join(map(page_file._own, SCRIPTS))))
    template = page_file._own("report.html")
    for own, within in used:
        assert f'id="{own or "list-" + within}"' in template
