"""How strongly two images of a bag are drawn to one label: by their looks, and by when they were seen."""

import torch
from torch import Tensor

from wsreid.losses.distances import squared_distances
from wsreid.losses.precision import in_float32


@torch.no_grad()
@in_float32
def bag_couplings(
    appearance: Tensor,
    bag: Tensor,
    camera: Tensor,
    sequence: Tensor,
    frame: Tensor,
    weight: float = 1.0,
    sigma: float = 1.0,
    same_frame: float = 0.0,
    neighbour: float = 0.0,
    reach: int = 1,
) -> Tensor:
    """The couplings J of `mean_field` between the images of each bag.

        J_ij = (weight + neighbour [i and j are neighbours in time]) exp(-|g_i - g_j|^2 / sigma)
               - same_frame [i and j are two boxes of one frame]

    The first is the appearance kernel of arXiv:1904.03845; the other two are ours. Two boxes in one frame are two
    people. Neighbours are images of one camera and sequence whose frames lie at most `reach` steps apart among the
    bag's frames there: frame numbers of a data set may go by any step, so their order counts and not their distance.
    Images whose frame, camera or sequence is unknown (-1) have the kernel alone.

    Args:
        appearance: g, `(N, G)` floating point.
        bag: Index of each image's bag, `(N,)` long.
        camera: `(N,)` long, -1 = unknown.
        sequence: `(N,)` long, -1 = unknown.
        frame: `(N,)` long, -1 = unknown.
        weight: Weight of the kernel.
        sigma: Its scale, in squared units of g.
        same_frame: What keeps two boxes of a frame apart.
        neighbour: What the kernel weighs more between neighbours.
        reach: Steps of time within which images are neighbours.

    Returns:
        J, `(N, N)`, symmetric, 0 on the diagonal and between bags.
    """
    place = torch.stack([bag, camera, sequence, frame], 1)  # (N,) -> (N, 4)
    timed = (place >= 0).all(1)  # (N,)
    same_bag = bag[:, None] == bag[None, :]  # (N,) -> (N, N)
    track = (place[:, None, :3] == place[None, :, :3]).all(2) & timed[:, None] & timed[None, :]  # (N, N)
    # each image's place in time: its rank among the distinct frames of its bag, camera and sequence
    distinct, index = torch.unique(place, dim=0, return_inverse=True)  # ordered by bag, camera, sequence, frame
    order = index[:, None] - index[None, :] if len(distinct) else same_bag.long()  # (N, N)
    steps = order.abs()  # within a track the distinct rows lie side by side
    kernel = torch.exp(-squared_distances(appearance) / sigma)  # (N, G) -> (N, N)
    near = track & (steps >= 1) & (steps <= reach)  # (N, N)
    one_frame = track & (steps == 0)  # (N, N)
    coupling = kernel * (weight + neighbour * near) - same_frame * one_frame
    apart = ~same_bag | torch.eye(len(bag), dtype=torch.bool, device=bag.device)  # (N, N)
    return coupling.masked_fill(apart, 0.0)
