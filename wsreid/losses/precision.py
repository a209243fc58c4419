"""Losses are computed in float32, whatever the precision of the network."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor

_P = ParamSpec("_P")
_R = TypeVar("_R")


def at_least_float32(value: _R) -> _R:
    """Returns half-precision tensors as float32 and everything else as it came."""
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return cast(_R, value.float())
    return value


def in_float32(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Makes a function of tensors run outside autocast, with its half-precision arguments as float32.

    Under autocast matrix products would be done in half precision, where `|a|^2 + |b|^2 - 2ab` of near features is
    noise and `exp` overflows. float64 stays float64.

    Args:
        function: A pure function; the first tensor among its arguments tells the device.

    Returns:
        The same function, safe under autocast.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        device = next((v.device.type for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), "cpu")
        raised = (at_least_float32(value) for value in args)
        named = {name: at_least_float32(value) for name, value in kwargs.items()}
        with torch.autocast(device, enabled=False):
            return function(*raised, **named)  # type: ignore[arg-type]  # same arguments, other dtype

    return wrapped
