"""What `python -m wsreid evaluate` says: a table for the terminal, and the same with every definition for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from wsreid.cli.evaluate_options import EvaluateOptions
from wsreid.file_hash import file_hash
from wsreid.retrieval import RetrievalResult, summary
from wsreid.retrieval.bootstrap import drawn_identities
from wsreid.retrieval.feature_files import FeatureFile
from wsreid.retrieval.junk import UNKNOWN, Ints
from wsreid.retrieval.lost_queries import LostQueries
from wsreid.retrieval.verification_result import VerificationResult
from wsreid.terminal import Console
from wsreid.tracking.provenance import git_commit, versions
from wsreid.tracking.result_table import DRAWS, LEVEL, SEED, ResultRow, percent, result_table


@dataclass(frozen=True, eq=False)
class Scored:
    """Everything that an evaluation found.

    Attributes:
        query: The queries' file.
        gallery: The gallery's file.
        result: The retrieval figures.
        lost: The queries without a match.
        other_split: What says that these are not the images of the published split; None = they are, or nobody asked.
        verification: Figures over pairs; None = not asked for.
    """

    query: FeatureFile
    gallery: FeatureFile
    result: RetrievalResult
    lost: LostQueries
    other_split: str | None
    verification: VerificationResult | None

    @property
    def row(self) -> ResultRow:
        """The line of the table."""
        return ResultRow(self.gallery.path.stem, self.result)


def about(options: EvaluateOptions, scored: Scored) -> dict[str, object]:
    """An evaluation as plain values, with what it takes to repeat it.

    Args:
        options: What was asked for.
        scored: What was found.

    Returns:
        The content of the JSON file. Figures are shares in 0..1.
    """
    result, lost = scored.result, scored.lost
    content: dict[str, object] = {
        "figures": summary(result),
        "n_query": result.n_query,
        "n_valid": result.n_valid,
        "n_tied": result.n_tied,
        "lost_queries": {
            "unknown_identity": len(lost.unknown),
            "identity_not_in_gallery": len(lost.absent),
            "own_camera_only": len(lost.own_camera),
        },
        "cmc": result.cmc.tolist(),
        "over_all_queries": {
            "cmc": result.cmc_all.tolist(),
            "mAP_step": result.map_step_all,
            "mAP_trapezoid": result.map_trapezoid_all,
            "mINP": result.minp_all,
        },
        "definition": result.definition,
        "intervals": {
            "over": "query identities, each with all its queries; percentiles of the draws",
            "identities": drawn_identities(result),
            "draws": DRAWS,
            "level": LEVEL,
            "seed": SEED,
            "figures": {name: [interval.low, interval.high] for name, interval in scored.row.intervals().items()},
        },
        "notes": [note for note in (str(lost), scored.other_split) if note],
    }
    if scored.verification is not None:
        content["verification"] = _verification(scored.verification)
    return content | {
        "query": _side(scored.query),
        "gallery": _side(scored.gallery),
        "options": options.plain(),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def show(options: EvaluateOptions, scored: Scored, output: Path) -> None:
    """Prints the table, what it means, and where the rest is.

    Args:
        options: What was asked for.
        scored: What was found.
        output: The JSON file.
    """
    console = Console()
    console = console if console.is_terminal else Console(width=100)
    console.print()
    console.print(result_table([scored.row], f"{scored.query.path} in {scored.gallery.path}"))
    for line in _meaning(scored):
        console.print(line, highlight=False)
    if scored.verification is not None:
        console.print(verification_table(scored.verification))
    for path in (options.save, output):
        if path is not None:
            console.print(f"Written: {path}", highlight=False, soft_wrap=True)


def verification_table(found: VerificationResult) -> Table:
    """The true positive rates as a table for the terminal, in percent.

    Args:
        found: A verification.

    Returns:
        A rich table.
    """
    title = f"{found.n_genuine:,} genuine and {found.n_impostor:,} impostor pairs"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    for head in ("FPR", "TPR %", "at most %"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    for point in found.points:
        table.add_row(f"{point.fpr:g}", percent(point.low), percent(point.high), point.reason)
    return table


def _meaning(scored: Scored) -> list[str]:
    result, lost = scored.result, scored.lost
    fate = "counted as misses" if result.counts_all else "left out"
    reasons = {
        "own camera only": lost.own_camera,
        "identity not in the gallery": lost.absent,
        "identity -1": lost.unknown,
    }
    why = ", ".join(f"{reason} {len(rows)}" for reason, rows in reasons.items() if len(rows))
    lines = [
        f"{result.n_valid} of {result.n_query} queries have a match; {result.n_tied} matches are tied."
        + (f" Without a match, {fate}: {why}." if why else ""),
        "; ".join(f"{key}: {value}" for key, value in result.definition.items()) + ".",
    ]
    if scored.row.intervals():
        lines.append(
            f"Intervals ({100 * LEVEL:.0f} %): bootstrap over {drawn_identities(result)} query identities, "
            f"{DRAWS} draws, seed {SEED}."
        )
    return lines + ([scored.other_split] if scored.other_split else [])


def _verification(found: VerificationResult) -> dict[str, object]:
    return {
        "points": [
            {"fpr": p.fpr, "tpr": p.tpr, "tpr_at_most": p.high, "threshold": p.threshold, "reason": p.reason or None}
            for p in found.points
        ],
        "n_genuine": found.n_genuine,
        "n_impostor": found.n_impostor,
        "bin_width": found.bin_width,
        "score_error": found.score_error,
        "definition": found.definition,
    }


def _side(file: FeatureFile) -> dict[str, object]:
    return {
        "path": str(file.path),
        "images": len(file.pid),
        "identities": _different(file.pid),
        "cameras": None if file.camera is None else _different(file.camera),
        "dimension": int(file.features.shape[1]),
        "dtype": str(file.features.dtype),
        "sha256": {str(source): file_hash(source) for source in file.sources},
    }


def _different(numbers: Ints) -> int:
    return len(np.unique(numbers[numbers != UNKNOWN]))
