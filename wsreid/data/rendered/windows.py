"""Windows of consecutive images as bags, and how far they tell identities apart."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from wsreid.data.rendered.names import ImageName


def cut_windows(names: Iterable[ImageName], images: int = 12) -> list[frozenset[int]]:
    """Cuts each camera's sequence, in frame order, every `images` images.

    Args:
        names: Images in any order.
        images: Images per window; the last window of a sequence may have fewer.

    Returns:
        The identities of each window.
    """
    bags = []
    for _, group in groupby(sorted(names), key=lambda name: (name.camera, name.sequence)):
        pids = [name.pid for name in group]
        bags += [frozenset(pids[start : start + images]) for start in range(0, len(pids), images)]
    return bags


def window_sizes(names: Iterable[ImageName], images: int = 12) -> dict[int, int]:
    """Counts windows by the number of identities that they hold.

    Args:
        names: Images in any order.
        images: Images per window.

    Returns:
        Number of identities -> number of windows, ascending.
    """
    return dict(sorted(Counter(len(bag) for bag in cut_windows(names, images)).items()))


def inseparable_share(bags: Sequence[Collection[int]]) -> float:
    """Share of the pairs of identities that stand in exactly the same bags, so that no bag label separates them.

    Args:
        bags: The identities of each bag.

    Returns:
        Share in 0..1 of all pairs of identities that occur in a bag; 0 if there are fewer than two.
    """
    places: dict[int, list[int]] = {}
    for index, bag in enumerate(bags):
        for identity in set(bag):
            places.setdefault(identity, []).append(index)
    alike = Counter(tuple(indices) for indices in places.values())
    pairs = len(places) * (len(places) - 1)
    return sum(count * (count - 1) for count in alike.values()) / pairs if pairs else 0.0
