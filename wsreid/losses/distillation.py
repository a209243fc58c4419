"""What a student's features must have in common with a teacher's: how alike the images of a batch are.

The two networks may have features of different widths. Nothing is larger than N x N.
"""

import torch.nn.functional as F
from torch import Tensor

from wsreid.losses.precision import in_float32


@in_float32
def similarity_distribution_loss(student: Tensor, teacher: Tensor, temperature: float = 0.1) -> Tensor:
    """Divergence between the two networks' distributions of an image over the others of the batch.

        p_ij = exp(t_i . t_j / tau) / sum_{k != i} exp(t_i . t_k / tau),  j != i;  q_ij the same of the student
        L = (1/N) sum_i sum_{j != i} p_ij log(p_ij / q_ij)              all features with norm 1

    Abbasi Koohpayegani et al., "CompRess: Self-Supervised Learning by Compressing Representations", arXiv:2010.14713,
    eq. 1 and 2, and Fang et al., "SEED", arXiv:2101.04731, which compare with a queue of images; here with the batch.

    Args:
        student: `(N, D_s)` floating point, not normalised.
        teacher: `(N, D_t)`, not normalised, taken as constants.
        temperature: tau, above 0.

    Returns:
        Scalar; 0 with zero gradient where there are fewer than two images.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    if len(student) < 2:
        return (student * 0).sum()
    q, p = (_others(features) / temperature for features in (student, teacher.detach()))  # (N, D) -> (N, N - 1)
    return F.kl_div(q.log_softmax(1), p.log_softmax(1), reduction="batchmean", log_target=True)


@in_float32
def similarity_preserving_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared differences between the two networks' matrices of similarities.

        G = F F^T, each row divided by its norm;  L = (1/N^2) sum_ij (G^t_ij - G^s_ij)^2

    Tung and Mori, "Similarity-Preserving Knowledge Distillation", arXiv:1907.09682, eq. 1 to 4.

    Args:
        student: F of the student, `(N, D_s)` floating point, not normalised.
        teacher: F of the teacher, `(N, D_t)`, not normalised, taken as constants.

    Returns:
        Scalar; 0 with zero gradient where there are fewer than two images.
    """
    if len(student) < 2:
        return (student * 0).sum()
    ours, theirs = (F.normalize(f @ f.T, dim=1) for f in (student, teacher.detach()))  # (N, D) -> (N, N)
    return F.mse_loss(ours, theirs.to(ours.dtype))


def _others(features: Tensor) -> Tensor:
    """Cosines of each image with the other ones, `(N, N - 1)`."""
    unit = F.normalize(features, dim=1)
    cosines = unit @ unit.T  # (N, N)
    n = len(cosines)
    # behind the first entry every (n + 1)-th one is of the diagonal
    return cosines.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)
