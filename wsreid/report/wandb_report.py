"""A W&B report of runs: the comparison's panels, built with W&B's own library, saved where a server is set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wsreid.errors import ConfigError, DataError, WsreidError
from wsreid.tracking.recorded_run import read_run

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import Report

STEP: Final = "trainer/global_step"
TEST: Final = ("test/mAP_step", "test/R1", "test/mINP", "test/mAP_trapezoid")
CURVES: Final = ("val/mAP_step", "val/R1", "train/loss")
LABELS: Final = (
    "train/label_refine/raw",
    "train/label_refine/bag_matched",
    "train/labels/presence",
    "train/labels/entropy_normalised",
    "train/labels/flip_rate",
    "train/labels/confusion",
)
RANKED: Final = ("test/ranked_worst", "test/ranked_random", "test/ranked_best")
PICTURES: Final = ("train/bags", "test/activation_maps")
TABLES: Final = ("test/queries", "test/embeddings")
OPTIONS: Final = ("config.model.init_args.lr", "config.model.init_args.warmup_epochs")
_COLUMNS: Final = 24  # of a report's grid
_ID_FILE: Final = "fit-run-id.txt"


@dataclass(frozen=True)
class ReportScope:
    """What a report is about.

    Attributes:
        project: W&B project.
        entity: W&B user or team; None = the account's default.
        ids: W&B ids of the runs; empty = all fits of the project.
    """

    project: str
    entity: str | None = None
    ids: tuple[str, ...] = ()


def scope_of_runs(paths: Sequence[Path], project: str | None, entity: str | None) -> ReportScope:
    """The W&B runs of run folders.

    Args:
        paths: Run folders; none = all fits of the project.
        project: W&B project; None = that of the runs, or `wsreid`.
        entity: W&B user or team; None = that of the runs.

    Returns:
        The scope.

    Raises:
        ConfigError: The runs are of several projects or entities, and none is named.
        DataError: A run has none in W&B.
    """
    ids, projects, entities = [], set(), set()
    for path in paths:
        settings = read_run(path).config.get("wandb") or {}
        file = path / "wandb" / _ID_FILE
        if not file.is_file():
            raise DataError(f"{path}: it has no run in W&B: there is no wandb/{_ID_FILE}. Was --wandb.mode disabled?")
        ids.append(file.read_text(encoding="utf-8").strip())
        projects.add(str(settings.get("project", "wsreid")))
        entities.add(settings.get("entity"))
    return ReportScope(
        project=project or _only(projects, "project") or "wsreid",
        entity=entity or _only(entities, "entity"),
        ids=tuple(ids),
    )


def _only(found: set[Any], option: str) -> str | None:
    if len(found) > 1:
        names = ", ".join(sorted(map(str, found)))
        raise ConfigError(f"the runs differ in wandb.{option} ({names}): name one with --{option}")
    return next(iter(found), None)


def save_report(scope: ReportScope) -> str:
    """Builds the report and saves it on the W&B server.

    Args:
        scope: What it is about.

    Returns:
        Its address.

    Raises:
        ConfigError: The library is not installed, or no server or account is set.
        WsreidError: The server cannot be reached, or refuses.
    """
    _library()
    import wandb

    try:
        entity = scope.entity or wandb.Api().default_entity
    except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
        raise ConfigError(
            f"no W&B account is set ({_line(error)}). `wandb login` sets one, for a server of your own "
            "`wandb login --host URL`; without a server, `python -m wsreid report RUNS --out report.html` writes a file"
        ) from error
    except Exception as error:
        raise _refused(error) from error
    if not entity:
        raise ConfigError("the W&B account has no default user or team: name one with --entity")
    report = build_report(ReportScope(scope.project, entity, scope.ids))
    try:
        report.save()
    except Exception as error:
        raise _refused(error) from error
    return str(report.url)


def build_report(scope: ReportScope) -> Report:
    """The report as the library's own object; asks no server.

    Args:
        scope: What it is about; its entity is named.

    Returns:
        The report, not saved.

    Raises:
        ConfigError: The library is not installed, or the scope names no entity.
    """
    wr = _library()
    if scope.entity is None:
        raise ConfigError("a W&B report belongs to a user or team: name one with --entity")
    which = f"{len(scope.ids)} runs" if scope.ids else "all fits"
    report: Report = wr.Report(
        project=scope.project,
        entity=scope.entity,
        title=f"Comparison of methods: {scope.project}",
        description=f"{which} of {scope.entity}/{scope.project}, grouped by method; made by `python -m wsreid report`.",
        blocks=list(_blocks(wr, scope)),
        width="fluid",
    )
    return report


def _blocks(wr: Any, scope: ReportScope) -> Iterable[object]:  # noqa: ANN401  # a module that is loaded late
    methods = {"groupby": ["group"], "name": "methods"}
    yield wr.TableOfContents()
    yield wr.H1(text="Test split, last checkpoint")
    yield wr.P(text="Mean over the runs of a method; the lines reach from the lowest run to the highest.")
    yield wr.PanelGrid(
        runsets=[_runset(wr, scope, **methods)], panels=[_bars(wr, name, i) for i, name in enumerate(TEST)]
    )
    yield wr.H1(text="Curves")
    yield wr.P(text="Validation identities, held out of training; the bands reach from the lowest run to the highest.")
    yield wr.PanelGrid(runsets=[_runset(wr, scope, **methods)], panels=_lines(wr, CURVES))
    yield wr.H1(text="Labels of the training images")
    yield wr.P(
        text="What each figure tells: docs/diagnostics.md. A method whose batches are not drawn by bag has none."
    )
    yield wr.PanelGrid(runsets=[_runset(wr, scope, **methods)], panels=_lines(wr, LABELS))
    yield wr.H1(text="Pictures")
    yield wr.P(text="The random lists, the bags and the activation maps are of the same images for every method.")
    media = [_media(wr, key, i) for i, key in enumerate((*RANKED, *PICTURES))]
    yield wr.PanelGrid(runsets=[_runset(wr, scope)], panels=media)
    yield wr.H1(text="Query by query")
    yield wr.PanelGrid(
        runsets=[_runset(wr, scope)],
        panels=[
            wr.WeavePanelSummaryTable(table_name=key, layout=wr.Layout(x=0, y=12 * i, w=_COLUMNS, h=12))
            for i, key in enumerate(TABLES)
        ],
    )
    yield wr.H1(text="Options")
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(name)) for name in OPTIONS]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric("best/mAP_step")))
    yield wr.PanelGrid(
        runsets=[_runset(wr, scope)],
        panels=[
            wr.ParallelCoordinatesPlot(columns=columns, layout=wr.Layout(x=0, y=0, w=12, h=10)),
            wr.ParameterImportancePlot(with_respect_to="best/mAP_step", layout=wr.Layout(x=12, y=0, w=12, h=10)),
            wr.RunComparer(diff_only="split", layout=wr.Layout(x=0, y=10, w=_COLUMNS, h=16)),
        ],
    )


def _runset(wr: Any, scope: ReportScope, **options: Any) -> object:  # noqa: ANN401  # as above
    from wandb_workspaces import expr

    filters = [expr.Metric("JobType") == "fit"]
    if scope.ids:
        filters.append(expr.Metric("ID").isin(list(scope.ids)))
    return wr.Runset(
        project=scope.project,
        entity=scope.entity,
        filters=expr.And(*filters),
        order=[wr.OrderBy(name=wr.SummaryMetric(TEST[0]), ascending=False)],
        pinned_columns=[f"summary:{name}" for name in ("best/mAP_step", *TEST[:2])],
        **options,
    )


def _bars(wr: Any, name: str, place: int) -> object:  # noqa: ANN401  # as above
    return wr.BarPlot(
        title=name,
        metrics=[wr.SummaryMetric(name)],
        groupby=wr.Metric("Group"),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        layout=wr.Layout(x=12 * (place % 2), y=8 * (place // 2), w=12, h=8),
    )


def _lines(wr: Any, names: Sequence[str]) -> list[object]:  # noqa: ANN401  # as above
    return [
        wr.LinePlot(
            title=name,
            x=STEP,
            y=[name],
            groupby=wr.Metric("Group"),
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            layout=wr.Layout(x=8 * (i % 3), y=8 * (i // 3), w=8, h=8),
        )
        for i, name in enumerate(names)
    ]


def _media(wr: Any, key: str, place: int) -> object:  # noqa: ANN401  # as above
    return wr.MediaBrowser(
        title=key,
        media_keys=[key],
        num_columns=3,
        gallery_axis="run",
        layout=wr.Layout(x=0, y=16 * place, w=_COLUMNS, h=16),
    )


def _library() -> Any:  # noqa: ANN401  # a module that is loaded late
    try:
        import wandb_workspaces.reports.v2 as wr
    except ImportError as error:
        raise ConfigError(
            "a W&B report is built with W&B's library wandb-workspaces, which is not installed: "
            'python -m pip install "wsreid[wandb-report]"'
        ) from error
    return wr


def _refused(error: Exception) -> WsreidError:
    return WsreidError(f"the W&B server did not take the report ({type(error).__name__}: {_line(error)})")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
