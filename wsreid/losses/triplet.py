"""Batch-hard triplet loss on true identities.

Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", arXiv:1703.07737, eq. 5;
margin .3 on the feature before the neck as in Luo et al., "Bag of Tricks", arXiv:1903.07071.
"""

import torch
from torch import Tensor

from wsreid.losses.distances import distances
from wsreid.losses.precision import in_float32


@in_float32
def batch_hard_triplet_loss(embeddings: Tensor, labels: Tensor, margin: float = 0.3) -> Tensor:
    """The hinge between the farthest positive and the nearest negative of each image.

        L = mean_i max(0, max_{j: y_j = y_i} d_ij - min_{j: y_j != y_i} d_ij + margin)

    Args:
        embeddings: `(N, D)` floating point, not normalised.
        labels: Class index of each image, `(N,)` long; -1 = unknown, such an image is in no triplet.
        margin: Margin of the hinge, in units of distance.

    Returns:
        Scalar: mean over the images with another image of their identity and a negative; 0 where there is none.
    """
    matrix = distances(embeddings)  # (N, D) -> (N, N)
    known = labels >= 0  # (N,)
    pairs = known[:, None] & known[None, :]  # (N,) -> (N, N)
    same = labels[:, None] == labels[None, :]  # (N, N)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)  # (N, N)
    positive = pairs & same & ~itself
    negative = pairs & ~same
    anchor = positive.any(1) & negative.any(1)  # (N,)
    far = matrix.masked_fill(~positive, -torch.inf).amax(1)  # (N, N) -> (N,)
    near = matrix.masked_fill(~negative, torch.inf).amin(1)  # (N, N) -> (N,)
    hinge = (far[anchor] - near[anchor] + margin).clamp(min=0)  # (N,) -> (A,)
    return hinge.sum() / anchor.sum().clamp(min=1)
