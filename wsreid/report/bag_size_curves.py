"""How retrieval changes with the number of identities in a bag, where the runs differ in it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from wsreid.report.chart import Chart, Choice, NamedRun, figure, line, whole_numbers
from wsreid.tracking.experiment_hash import config_hash
from wsreid.tracking.identity_sums import Figure, identity_sums
from wsreid.tracking.pooled_bootstrap import Spread, interval
from wsreid.tracking.recorded_run import RecordedRun

FIGURES: Final[Mapping[Figure, str]] = {"ap": "mAP (step), %", "hits": "R1, %"}
OPTION: Final = "data.bags.ids_per_bag"
BATCH: Final = ("data.bags_per_batch", "data.images_per_bag")
_KEY, _TITLE = "bag-size", "Over the size of the bags"


def bag_size_curves(runs: Sequence[NamedRun]) -> Chart:
    """A line for each experiment that was run with several numbers of identities in a bag, all else being equal.

    Args:
        runs: The runs.

    Returns:
        The chart.
    """
    curves = [found for found in _series(runs) if len({size for size, _ in found}) > 1]
    if not curves:
        return Chart(_KEY, _TITLE, f"n/a: no two finished runs of one method differ in {OPTION} alone.")
    batches = sorted({_batch(named.run.config) for found in curves for _, named in found})
    note = f"Experiments that differ in {OPTION}, with 95 % intervals over query identities, seeds pooled."
    if len(batches) > 1:
        note += f" NOT THE SAME BATCHES for all ({' and '.join(BATCH)}): {', '.join(batches)}."
    choices = []
    for name, what in FIGURES.items():
        traces = _traces(name, curves)
        if traces:
            choices.append(Choice(what, figure("identities in a bag", what, traces, whole=True)))
    if not choices:
        note = "n/a: of none of the runs are the ranks, with the identities of the queries, recorded."
    return Chart(_KEY, _TITLE, note, tuple(choices))


def ids_per_bag(config: Mapping[str, Any]) -> int | None:
    """How many identities a bag has; None where the bags are not made so.

    Args:
        config: A run's resolved configuration.
    """
    options = (config.get("data") or {}).get("init_args") or {}
    bags = options.get("bags") or {}
    size = bags.get("ids_per_bag")
    made = options.get("bag_file") is None and bags.get("protocol", "random") == "random"
    return size if made and isinstance(size, int) else None


def _series(runs: Sequence[NamedRun]) -> list[list[tuple[int, NamedRun]]]:
    """Runs with their bag sizes, by what else they are.

    Larger bags need fewer of them in a batch of the same size. So runs that differ in the make-up of their batches too
    are one series, but for those that then have several experiments at one bag size.
    """
    loose: dict[tuple[str, str], list[tuple[int, NamedRun]]] = {}
    seen = set()
    for named in runs:
        run, size = named.run, ids_per_bag(named.run.config)
        if size is None or not run.finished or (named.number, run.seed) in seen:
            continue
        seen.add((named.number, run.seed))
        loose.setdefault((_rest(run.config, batch=False), run.hashes.get("data", "")), []).append((size, named))
    found = []
    for series in loose.values():
        if len({(size, named.number) for size, named in series}) == len({size for size, _ in series}):
            found.append(series)
            continue
        strict: dict[str, list[tuple[int, NamedRun]]] = {}
        for size, named in series:
            strict.setdefault(_rest(named.run.config, batch=True), []).append((size, named))
        found += strict.values()
    return found


def _rest(config: Mapping[str, Any], *, batch: bool) -> str:
    """Hash of a configuration without the bag size, with the make-up of its batches or without that too."""
    other = copy.deepcopy(dict(config))
    options = other["data"]["init_args"]
    del options["bags"]["ids_per_bag"]
    for name in () if batch else BATCH:
        options.pop(name.removeprefix("data."), None)
    return config_hash(other)


def _batch(config: Mapping[str, Any]) -> str:
    options = config["data"]["init_args"]
    return " x ".join(str(options.get(name.removeprefix("data."), "?")) for name in BATCH)


def _traces(what: Figure, curves: Sequence[Sequence[tuple[int, NamedRun]]]) -> list[dict[str, Any]]:
    methods = Counter(found[0][1].run.method for found in curves)
    traces = []
    for found in curves:
        points = []
        for size in sorted({size for size, _ in found}):
            spread = _spread([named.run for own, named in found if own == size], what)
            if spread is not None:
                points.append((size, spread))
        if not points:
            continue
        first = found[0][1]
        name = first.run.method if methods[first.run.method] == 1 else f"{first.group} and its like"
        value, low, high = (np.array([getattr(each, end) for _, each in points]) for end in ("value", "low", "high"))
        known = ~np.isnan(low)
        bars = {
            "type": "data",
            "array": np.where(known, high - value, 0),
            "arrayminus": np.where(known, value - low, 0),
            "symmetric": False,
            "thickness": 1,
        }
        x = whole_numbers([size for size, _ in points])
        named = NamedRun(first.run, name, name, first.number)
        numbers = sorted({each.number for _, each in found})
        traces.append(line(named, x, value, mode="lines+markers", error_y=bars, meta=numbers))
    return traces


def _spread(runs: Sequence[RecordedRun], what: Figure) -> Spread | None:
    """A figure over the seeds; None = the ranks of none of them are recorded, or they are of other queries."""
    results = [run.retrieval for run in runs]
    sums = [identity_sums(result) for result in results if result is not None and result.query_pid is not None]
    if not sums or any((each.pid, each.queries) != (sums[0].pid, sums[0].queries) for each in sums):
        return None
    return interval(sums, what)
