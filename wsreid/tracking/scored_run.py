"""A finished run as a comparison takes it: its figures, its sums by query identity, and what they mean."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wsreid.errors import DataError, FeatureError
from wsreid.retrieval.summary import summary
from wsreid.tracking.identity_sums import IdentitySums, identity_sums
from wsreid.tracking.recorded_run import METRICS_FILE, RETRIEVAL_FILE, RecordedRun
from wsreid.tracking.result_table import REFINE_KINDS, RESULTS_FILE, RETRIEVAL_FIGURES
from wsreid.tracking.run_folder import CHECKPOINTS, CONFIG_FILE, OWNER_FILE

PERCENTAGES: Final = (*RETRIEVAL_FIGURES, *(f"refine_{kind}{of}" for kind in REFINE_KINDS for of in ("", "_random")))
NOT_KNOWN: Final = "not known"
_NO_TERMS = ("headline", "lists")  # of a definition: what tables show first, and how pictures were made
_CLOSE: Final = 1e-6
_TESTED: Final = "test/mAP_step"


@dataclass(frozen=True)
class ScoredRun:
    """A run that can be compared.

    Attributes:
        run: The run.
        numbers: Number by name: those of `PERCENTAGES` in percent, `seconds` of the fit; None = not known.
        terms: What its figures mean and what they are of. Runs that differ in one of them are not comparable.
        sums: Sums by query identity; None = its ranks, or its queries' identities, are not recorded.
    """

    run: RecordedRun
    numbers: Mapping[str, float | None]
    terms: Mapping[str, str]
    sums: IdentitySums | None

    @property
    def queries(self) -> str | None:
        """Names the identities and the number of queries of each that count; None = not known."""
        if self.sums is None:
            return None
        return hashlib.sha256(repr((self.sums.pid, self.sums.queries)).encode()).hexdigest()[:12]


def scored_run(run: RecordedRun) -> ScoredRun:
    """Reads what a comparison needs of a run.

    Args:
        run: The run.

    Returns:
        The run with its figures.

    Raises:
        DataError: It has not finished, or its files are damaged; the message is the reason alone, without the folder.
    """
    if not run.finished:
        raise DataError(_unfinished(run))
    if run.begun_with is not None and _went_on(run):
        raise DataError(f"resumed after its test, and not finished since: {RESULTS_FILE} is of before")
    figures = run.figures
    try:
        numbers = {name: _number(figures.get(name), 100) for name in PERCENTAGES}
        numbers["seconds"] = _number(figures.get("seconds"), 1)
    except (TypeError, ValueError) as error:
        raise DataError(f"{RESULTS_FILE} is damaged ({error}): test the run again") from error
    if numbers["mAP_step"] is None:
        raise DataError(f"{RESULTS_FILE} holds no retrieval figures")
    return ScoredRun(run, numbers, _terms(run), _sums(run, numbers))


def _unfinished(run: RecordedRun) -> str:
    if (run.path / OWNER_FILE).is_file():
        return f"not finished: there is no {RESULTS_FILE}; it is running, or was killed"
    if (run.path / CHECKPOINTS / "last.ckpt").is_file():
        config, folder = (shlex.quote(str(path)) for path in (run.path / CONFIG_FILE, run.path))
        return (
            f"not finished: there is no {RESULTS_FILE}; go on with it: "
            f"python -m wsreid fit --config {config} --run {folder} --ckpt_path last"
        )
    return f"not finished: there is no {RESULTS_FILE}, nor a checkpoint to go on from"


def _went_on(run: RecordedRun) -> bool:
    """Whether a resume has cut the row of the test from the curve and written none since."""
    path = run.path / METRICS_FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    rows = list(csv.DictReader(io.StringIO(text)))
    return bool(rows) and not any(row.get(_TESTED) for row in rows)


def _number(value: object, factor: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return factor * value


def _terms(run: RecordedRun) -> dict[str, str]:
    hashes = {f"{name} hash": str(run.hashes.get(name, NOT_KNOWN))[:12] for name in ("data", "bags")}
    name = {"data": run.data} if hashes["data hash"] == NOT_KNOWN else {}
    definition = {name: str(value) for name, value in sorted(run.definition.items()) if name not in _NO_TERMS}
    trainer = run.config.get("trainer") or {}
    limit = trainer.get("limit_test_batches")
    part = bool(trainer.get("fast_dev_run")) or not (limit is None or (isinstance(limit, float) and limit == 1))
    network = str(run.figures.get("name", "")).rpartition(", ")[2]
    network = "last checkpoint" if network == "last weights" else network  # the same, not saved
    return {**name, **hashes, **definition, "test split": "a part" if part else "whole", "network": network}


def _sums(run: RecordedRun, numbers: Mapping[str, float | None]) -> IdentitySums | None:
    try:
        result = run.retrieval
    except FeatureError as error:
        raise DataError(str(error)) from error
    if result is None:
        return None
    for name, value in summary(result).items():
        shown = numbers[name]
        if shown is None or abs(shown - 100 * value) > 100 * _CLOSE:
            raise DataError(
                f"{RESULTS_FILE} says {name} {'n/a' if shown is None else f'{shown:.2f}'} and {RETRIEVAL_FILE} "
                f"{100 * value:.2f}: they are not of one test. Test the run again"
            )
    return None if result.query_pid is None else identity_sums(result)
