"""The W&B report, as objects of W&B's own library; what a server would be sent, without one."""

import json
import sys
from types import SimpleNamespace

import pytest
import wandb
import yaml

from tests.tracking.run_folders import make_result, write_run
from wsreid.cli import main
from wsreid.errors import ConfigError, DataError, WsreidError
from wsreid.methods.diagnostics_callback import LOGGED
from wsreid.report.wandb_report import (
    CURVES,
    LABELS,
    PICTURES,
    RANKED,
    TABLES,
    TEST,
    ReportScope,
    build_report,
    save_report,
    scope_of_runs,
)

wr = pytest.importorskip("wandb_workspaces.reports.v2", reason="pip install wsreid[wandb-report]")
interface = sys.modules["wandb_workspaces.reports.v2.interface"]


@pytest.fixture
def grids():
    """The panel grids of a report on two runs, by the heading above them."""
    report = build_report(ReportScope("p", "team", ("abc", "def")))
    found, heading = {}, ""
    for block in report.blocks:
        if isinstance(block, wr.H1):
            heading = block.text
        elif isinstance(block, wr.PanelGrid):
            found[heading] = block
    return found


def test_it_belongs_to_the_project_and_says_what_it_is_of():
    report = build_report(ReportScope("p", "team", ("abc", "def")))
    assert isinstance(report, wr.Report)
    assert (report.project, report.entity, report.id) == ("p", "team", "")  # not saved
    assert "2 runs of team/p" in report.description
    assert "all fits of team/p" in build_report(ReportScope("p", "team")).description


def test_each_metric_picture_and_table_has_a_panel(grids):
    panels = [panel for grid in grids.values() for panel in grid.panels]
    bars = [panel for panel in panels if isinstance(panel, wr.BarPlot)]
    assert [panel.metrics for panel in bars] == [[wr.SummaryMetric(name)] for name in TEST]
    lines = [panel for panel in panels if isinstance(panel, wr.LinePlot)]
    assert [panel.y for panel in lines] == [[name] for name in (*CURVES, *LABELS)]
    assert {panel.x for panel in lines} == {"trainer/global_step"}
    for panel in (*bars, *lines):
        assert (panel.groupby, panel.groupby_aggfunc) == (wr.Metric("Group"), "mean")
    media = [panel.media_keys for panel in panels if isinstance(panel, wr.MediaBrowser)]
    assert media == [[key] for key in (*RANKED, *PICTURES)]
    tables = [panel.table_name for panel in panels if isinstance(panel, wr.WeavePanelSummaryTable)]
    assert tables == list(TABLES)
    assert [panel.diff_only for panel in panels if isinstance(panel, wr.RunComparer)] == ["split"]


def test_labels_are_figures_that_runs_log():
    assert set(LABELS) <= set(LOGGED.values())


def test_methods_are_compared_as_groups_and_pictures_run_by_run(grids):
    for heading, grid in grids.items():
        (runset,) = grid.runsets
        assert runset.groupby == (["group"] if heading.split()[0] in ("Test", "Curves", "Labels") else [])
        assert (runset.project, runset.entity) == ("p", "team")
        assert runset.order == [wr.OrderBy(name=wr.SummaryMetric("test/mAP_step"), ascending=False)]


def test_no_panel_lies_on_another(grids):
    for grid in grids.values():
        cells = [
            (x, y)
            for panel in grid.panels
            for x in range(panel.layout.x, panel.layout.x + panel.layout.w)
            for y in range(panel.layout.y, panel.layout.y + panel.layout.h)
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24


class Server:
    """Answers the library's questions, and keeps what it is sent."""

    def __init__(self):
        self.sent = {}

    def __call__(self, _api, query, variables=None):
        if "upsertView" in str(query):
            self.sent = variables
            view = {
                "id": "Vmlldzox",
                "name": variables["name"],
                "displayName": variables["displayName"],
                "description": variables["description"],
                "spec": variables["spec"],
                "project": {"name": variables["projectName"], "entityName": variables["entityName"]},
            }
            return {"upsertView": {"view": view}}
        return {"project": {"internalId": "UHJvamVjdA=="}}


@pytest.fixture
def server(monkeypatch):
    server = Server()
    api = SimpleNamespace(
        default_entity="team",
        projects=lambda _: [SimpleNamespace(name="p")],
        client=SimpleNamespace(app_url="https://wandb.example.org"),
    )
    monkeypatch.setattr(wandb, "Api", lambda: api)
    monkeypatch.setattr(interface, "_get_api", lambda: api)
    monkeypatch.setattr(interface, "execute_graphql", server)
    return server


def test_what_a_server_is_sent(server):
    url = save_report(ReportScope("p", ids=("abc",)))
    assert url.startswith("https://wandb.example.org/team/p/reports/")
    assert (server.sent["entityName"], server.sent["projectName"]) == ("team", "p")
    spec = json.loads(server.sent["spec"])
    grids = [block for block in spec["blocks"] if block["type"] == "panel-grid"]
    assert len(grids) == 6
    for grid in grids:
        (runset,) = grid["metadata"]["runSets"]
        chosen = {item["key"]["name"]: item["value"] for item in runset["filters"]["filters"]}
        assert chosen == {"jobType": "fit", "name": ["abc"]}
    whole = [
        panel["config"].get("xAxis")
        for grid in grids
        for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]
        if panel["viewType"] == "Run History Line Plot"
    ]
    assert whole == ["trainer/global_step"] * len((*CURVES, *LABELS))


def test_a_server_that_refuses_is_told_in_one_line(server, monkeypatch):
    def refuses(*_, **__):
        raise ValueError("project 'team/p'\nnot found")

    monkeypatch.setattr(interface, "execute_graphql", refuses)
    with pytest.raises(WsreidError, match=r"did not take the report \(ValueError: project 'team/p' not found\)"):
        save_report(ReportScope("p"))


def test_without_an_account_it_is_said_what_to_do(monkeypatch):
    def no_account():
        raise wandb.errors.UsageError("No API key configured. Use `wandb login` to log in.")

    monkeypatch.setattr(wandb, "Api", no_account)
    with pytest.raises(ConfigError, match=r"no W&B account is set .*wandb login --host URL.*report\.html"):
        save_report(ReportScope("p"))


def test_without_the_library_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    for call in (build_report, save_report):
        with pytest.raises(ConfigError, match=r'pip install "wsreid\[wandb-report\]"'):
            call(ReportScope("p", "team"))


def test_nobody_to_belong_to(server, monkeypatch):
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(default_entity=None))
    for call in (build_report, save_report):
        with pytest.raises(ConfigError, match="--entity"):
            call(ReportScope("p"))


def in_wandb(folder, run_id, **settings):
    write_run(folder, make_result([[0]]))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"wandb": settings}))
    (folder / "wandb").mkdir()
    (folder / "wandb" / "fit-run-id.txt").write_text(run_id)
    return folder


def test_run_folders_know_their_runs(tmp_path):
    first = in_wandb(tmp_path / "a", "abc", project="p", entity="team")
    second = in_wandb(tmp_path / "b", "def", project="p", entity=None)
    assert scope_of_runs([first], None, None) == ReportScope("p", "team", ("abc",))
    with pytest.raises(ConfigError, match=r"wandb\.entity \(None, team\): name one with --entity"):
        scope_of_runs([first, second], None, None)
    assert scope_of_runs([first, second], None, "other") == ReportScope("p", "other", ("abc", "def"))
    assert scope_of_runs([], None, None) == ReportScope("wsreid", None, ())
    with pytest.raises(DataError, match=r"no run in W&B"):
        scope_of_runs([write_run(tmp_path / "c", make_result([[0]]))], None, None)


def test_the_command(tmp_path, server, capsys):
    folder = in_wandb(tmp_path / "a", "abc", project="p", entity=None)
    found = main(["report", str(folder), "--wandb"])
    assert found.url.startswith("https://wandb.example.org/team/p/")
    assert list(found.results) == [folder]
    assert "Saved in W&B: https://wandb.example.org/team/p/" in capsys.readouterr().out
    assert main(["report", "--wandb", "--project", "p", "--entity", "else"]).results == ()
    assert server.sent["entityName"] == "else"
    with pytest.raises(ConfigError, match="Add --wandb"):
        main(["report", str(folder), "--project", "p"])
