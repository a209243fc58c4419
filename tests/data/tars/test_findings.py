import json

from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.tars.findings import EXAMPLES, Findings, Kind, shown


def test_counts_all_and_keeps_few_names():
    findings = Findings()
    for number in range(10_000):
        findings.add(Kind.LINK, f"{number}.jpg")
    findings.add(Kind.PLACE, "elsewhere/", 7)
    assert findings.counts == {Kind.LINK: 10_000, Kind.PLACE: 7}
    assert findings.examples[Kind.LINK] == [f"{number}.jpg" for number in range(EXAMPLES)]
    assert findings.lines()[0] == "10,000 x is a link: links are not followed (first: 0.jpg)"
    assert Findings.from_json(json.loads(json.dumps(findings.to_json()))) == findings
    twice = Findings()
    twice.merge(findings)
    twice.merge(findings)
    assert twice.counts == {Kind.LINK: 20_000, Kind.PLACE: 14}
    assert len(twice.examples[Kind.LINK]) == EXAMPLES
    assert len(findings.examples[Kind.LINK]) == EXAMPLES


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_names_are_shown_without_control_characters_and_short(name):
    text = shown(name)
    assert text.isprintable()
    assert len(text) <= 203


def test_escapes_are_readable():
    assert shown(b"a\n\x1b[31m\xff.jpg") == "a\\n\\x1b[31m\\xff.jpg"
    assert shown("é\ud800.jpg") == "é\\ud800.jpg"
