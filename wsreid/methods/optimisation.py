"""Parameter groups and the warm-up, apart from the methods that use them."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

from wsreid.errors import ConfigError

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
"""Parameter groups in, an optimiser out; from the command line a class path with its arguments."""

SchedulerFactory = Callable[[Optimizer], LRScheduler]
"""An optimiser in, a scheduler that steps once per epoch out."""

# these multiply the current rate, so that they can be chained; the others set it from the start value
_CHAINABLE = (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
_WARMUP_START = 0.01


def parameter_groups(module: nn.Module, network: nn.Module, lr: float, factor: float) -> list[dict[str, Any]]:
    """The trainable parameters in two groups: the network's, and what the method adds (classifiers, heads).

    Args:
        module: The whole method.
        network: Its embedding network.
        lr: Learning rate of the network.
        factor: Learning rate of the rest, as a multiple of `lr`.

    Returns:
        Groups named "backbone" and "classifiers", each with its own "lr"; an empty one is left out.
    """
    backbone = [p for p in network.parameters() if p.requires_grad]
    inside = {id(p) for p in network.parameters()}
    rest = [p for p in module.parameters() if p.requires_grad and id(p) not in inside]
    groups = [
        {"params": backbone, "lr": lr, "name": "backbone"},
        {"params": rest, "lr": lr * factor, "name": "classifiers"},
    ]
    return [group for group in groups if group["params"]]


def build_schedule(optimizer: Optimizer, scheduler: SchedulerFactory | None, warmup_epochs: int) -> LRScheduler | None:
    """The user's scheduler times a linear warm-up from 0.01 of the rate, both counted from the first epoch.

    So `milestones` are epochs of the run, warm-up included, as in arXiv:1903.07071 (10 epochs of warm-up, x0.1 at 40
    and 70).

    Args:
        optimizer: The optimiser.
        scheduler: Makes the scheduler; None for a constant rate.
        warmup_epochs: Epochs of warm-up; 0 for none.

    Returns:
        A scheduler that steps once per epoch, or None where there is nothing to schedule.

    Raises:
        ConfigError: A warm-up in front of a scheduler that does not multiply the current rate.
    """
    warmup = LinearLR(optimizer, _WARMUP_START, total_iters=warmup_epochs) if warmup_epochs > 0 else None
    if scheduler is None:
        return warmup
    main = scheduler(optimizer)
    if warmup is None:
        return main
    if not isinstance(main, _CHAINABLE):
        names = ", ".join(kind.__name__ for kind in _CHAINABLE)
        raise ConfigError(
            f"warmup_epochs={warmup_epochs} cannot stand before {type(main).__name__}, which sets the rate itself: "
            f"use one of {names}, or warmup_epochs=0"
        )
    return ChainedScheduler([warmup, main], optimizer)
