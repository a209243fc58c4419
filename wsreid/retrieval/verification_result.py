"""What a verification found, as a value that outlives it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.metrics import Floats
from wsreid.retrieval.npz_file import write_npz

FORMAT = 1


@dataclass(frozen=True)
class OperatingPoint:
    """The share of genuine pairs accepted where at most the share `fpr` of the impostor pairs is.

    Attributes:
        fpr: The false positive rate asked for.
        low: True positive rate that is certain; NaN where the rate cannot be resolved.
        high: The true positive rate is no higher than this; the histogram's bins and float32 leave the rest open.
        threshold: Pairs with a score above it are accepted at the rate `low`, with at most `fpr` false ones.
        reason: Why there is no figure; empty where there is one.
    """

    fpr: float
    low: float
    high: float
    threshold: float
    reason: str = ""

    @property
    def tpr(self) -> float:
        """The figure to report: `low`."""
        return self.low


@dataclass(frozen=True, eq=False)
class VerificationResult:
    """Whether two images show one identity, decided by a threshold on their score.

    Scores are cosines, dot products, or negative squared Euclidean distances.

    Attributes:
        points: True positive rate at the false positive rates asked for, falling.
        fpr: Share of the impostor pairs in the bins from each threshold on, `(B + 1,)`, rising: the ROC.
        tpr: Share of the genuine pairs with a score of at least the threshold, `(B + 1,)`, exact.
        threshold: Edges of the bins, falling, `(B + 1,)`.
        n_genuine: Pairs of one identity, junk aside.
        n_impostor: Pairs of two known, different identities, of any cameras.
        bin_width: Width of a bin.
        score_error: An impostor's score may be this far from the one that put it into its bin.
        definition: What the figures mean: metric, protocol, junk rule and the like.
    """

    points: tuple[OperatingPoint, ...]
    fpr: Floats
    tpr: Floats
    threshold: Floats
    n_genuine: int
    n_impostor: int
    bin_width: float
    score_error: float
    definition: dict[str, str | int]

    def figures(self) -> dict[str, float]:
        """True positive rate by name, such as `TPR@FPR=1e-04`; NaN where the rate cannot be resolved."""
        return {f"TPR@FPR={point.fpr:.0e}": point.tpr for point in self.points}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an npz file without pickled objects; the file appears whole or not at all.

        Args:
            path: The file, with its suffix.
        """
        points = [[p.fpr, p.low, p.high, p.threshold] for p in self.points]
        write_npz(
            path,
            {
                "verification_format": np.array(FORMAT),
                "points": np.array(points, dtype=np.float64).reshape(-1, 4),
                "reasons": np.array(json.dumps([p.reason for p in self.points])),
                "fpr": self.fpr,
                "tpr": self.tpr,
                "threshold": self.threshold,
                "pairs": np.array([self.n_genuine, self.n_impostor], dtype=np.int64),
                "errors": np.array([self.bin_width, self.score_error]),
                "definition": np.array(json.dumps(self.definition)),
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> VerificationResult:
        """Reads what `save` wrote.

        Args:
            path: The npz file.

        Returns:
            An equal result.

        Raises:
            FeatureError: The file is damaged, or no verification result.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {name: file[name] for name in file.files}
            version = int(data["verification_format"])
            if version != FORMAT:
                raise FeatureError(f"{path}: a verification result of format {version}; this version reads {FORMAT}.")
            reasons = json.loads(str(data["reasons"]))
            rows: list[tuple[float, float, float, float]] = data["points"].tolist()
            return cls(
                points=tuple(
                    OperatingPoint(fpr, low, high, threshold, reason)
                    for (fpr, low, high, threshold), reason in zip(rows, reasons, strict=True)
                ),
                fpr=data["fpr"],
                tpr=data["tpr"],
                threshold=data["threshold"],
                n_genuine=int(data["pairs"][0]),
                n_impostor=int(data["pairs"][1]),
                bin_width=float(data["errors"][0]),
                score_error=float(data["errors"][1]),
                definition=json.loads(str(data["definition"])),
            )
        except FeatureError:
            raise
        except FileNotFoundError as error:
            raise FeatureError(f"{path}: no such verification result.") from error
        except Exception as error:
            raise FeatureError(
                f"{path}: not a whole verification result ({error}). Verify again to make it."
            ) from error
