"""Whole numbers on the command line stay whole where a fraction means another thing."""

from __future__ import annotations

import functools
import operator
import typing
from collections.abc import Callable


def prefer_whole_numbers(function: Callable[..., object]) -> None:
    """Puts int before float in the annotations of a function.

    `typing` takes `Optional[Union[int, float]]` and `Optional[Union[float, int]]` for one, and gives back whichever of
    them it still remembers from an import anywhere. The parser tries types in order: with float first,
    `--trainer.limit_test_batches 1` is 1.0, all batches, and 10 is refused.

    Args:
        function: One with annotations that are types, such as Lightning's `Trainer.__init__`.
    """
    for name, hint in function.__annotations__.items():
        kinds = typing.get_args(hint)
        if int in kinds and float in kinds and kinds.index(float) < kinds.index(int):
            others = [kind for kind in kinds if kind is not int]
            others.insert(others.index(float), int)
            function.__annotations__[name] = functools.reduce(operator.or_, others)  # a union that typing does not keep
