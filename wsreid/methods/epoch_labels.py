"""The labels that a method gave in an epoch, as flat arrays, put together from batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsreid.data.seeding import scrambled

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]
_OF_IMAGE = ("pseudo", "entropy", "confidence", "truth", "member", "row", "camera")


@dataclass(frozen=True, eq=False)
class EpochLabels:
    """The labels of M images of B bags.

    Attributes:
        pseudo: Class index, `(M,)`; -1 = no label.
        entropy: Entropy of the distribution over the candidates in nats, `(M,)`; NaN = no distribution.
        confidence: Probability of the label among the candidates, `(M,)`; NaN = no label, or no distribution.
        truth: True class index, `(M,)`; -1 = unknown.
        member: `(M,)`.
        row: Manifest row, `(M,)`.
        camera: `(M,)`; -1 = unknown.
        bag: Index in 0..B-1 of each image's bag, `(M,)`.
        bag_id: `(B,)`.
        bag_size: Images in the whole bag, of which these may be a sample, `(B,)`.
        candidates: Class indices of each bag's label, `(B, L)`, padded with -1.
    """

    pseudo: _Ints
    entropy: _Floats
    confidence: _Floats
    truth: _Ints
    member: _Ints
    row: _Ints
    camera: _Ints
    bag: _Ints
    bag_id: _Ints
    bag_size: _Ints
    candidates: _Ints

    def __len__(self) -> int:
        """The number M of images."""
        return len(self.pseudo)

    def images(self, kept: _Bools | _Ints) -> EpochLabels:
        """Some images, and the bags that have one of them.

        Args:
            kept: Which: `(M,)` booleans, or positions in a new order.
        """
        bags, bag = np.unique(self.bag[kept], return_inverse=True)
        return EpochLabels(
            bag=bag.astype(np.int64),
            bag_id=self.bag_id[bags],
            bag_size=self.bag_size[bags],
            candidates=self.candidates[bags],
            **{name: getattr(self, name)[kept] for name in _OF_IMAGE},
        )


def join(parts: list[EpochLabels]) -> EpochLabels | None:
    """Several batches as one, a bag that several of them hold as one bag, and each member once: its latest label.

    Args:
        parts: The batches, in the order of their steps.

    Returns:
        Images by member, ascending; None = there are no batches.
    """
    if not parts:
        return None
    width = max(part.candidates.shape[1] for part in parts)
    tables = [
        np.pad(part.candidates, ((0, 0), (0, width - part.candidates.shape[1])), constant_values=-1)  # (B, L)
        for part in parts
    ]
    bag_id, first, number = np.unique(
        np.concatenate([part.bag_id for part in parts]), return_index=True, return_inverse=True
    )
    starts = np.cumsum([0, *(len(part.bag_id) for part in parts)])
    whole = EpochLabels(
        bag=number[np.concatenate([part.bag + start for part, start in zip(parts, starts[:-1], strict=True)])],
        bag_id=bag_id,
        bag_size=np.concatenate([part.bag_size for part in parts])[first],
        candidates=np.concatenate(tables)[first],
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_IMAGE},
    )
    _, latest = np.unique(whole.member[::-1], return_index=True)
    return whole.images(len(whole) - 1 - latest)


def chosen(labels: EpochLabels, halvings: int, seed: int) -> EpochLabels:
    """The images of 2^-halvings of the bags, chosen by a hash of the bag's id; each choice is within the one before.

    Args:
        labels: The images.
        halvings: How often to halve.
        seed: Another seed chooses other bags.
    """
    if halvings == 0:
        return labels
    x = scrambled(labels.bag_id, seed)
    return labels.images((x >> np.uint64(64 - halvings) == 0)[labels.bag])
