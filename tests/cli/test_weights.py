import pytest

from wsreid.cli.main import main
from wsreid.errors import ConfigError
from wsreid.models.published_weights import FORMATS, UNREAD


def test_each_format_is_listed_with_what_is_dropped_and_its_licence(capsys, monkeypatch):
    monkeypatch.setattr("wsreid.cli.weights.WIDTH", 1000)
    listed = main(["weights"])
    lines = capsys.readouterr().out.splitlines()
    assert listed.results == FORMATS
    for kind in FORMATS:
        (line,) = [line for line in lines if [cell.strip() for cell in line.split("│")][1:2] == [kind.name]]
        for told in (kind.project, kind.body, ", ".join(kind.keys.dropped), kind.licence):
            assert told in line
    for unread in UNREAD:
        assert any(line.startswith(f"Not read: {unread.name} ({unread.project})") for line in lines)


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(ConfigError, match="--formt"):
        main(["weights", "--formt", "md"])
