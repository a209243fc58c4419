"""The warm-up and its composition with the user's scheduler."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, MultiStepLR

from wsreid.errors import ConfigError
from wsreid.methods.optimisation import build_schedule, parameter_groups


def rates(scheduler, warmup, epochs, lr=1.0):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = build_schedule(optimizer, scheduler, warmup)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return found


def test_no_schedule():
    assert rates(None, 0, 3) == [1.0, 1.0, 1.0]


def test_warmup_is_linear_from_a_hundredth():
    assert rates(None, 4, 6) == pytest.approx([0.01 + 0.99 * e / 4 for e in range(4)] + [1.0, 1.0])


def test_milestones_are_epochs_of_the_run():
    found = rates(lambda o: MultiStepLR(o, [4, 6], 0.1), 2, 8, lr=2.0)
    assert found == pytest.approx([0.02, 1.01, 2.0, 2.0, 0.2, 0.2, 0.02, 0.02])


def test_cosine_after_warmup_follows_its_curve():
    plain = rates(lambda o: CosineAnnealingLR(o, 10), 0, 10)
    warm = rates(lambda o: CosineAnnealingLR(o, 10), 3, 10)
    assert warm[3:] == pytest.approx(plain[3:])
    assert warm[0] == pytest.approx(0.01)


def test_a_scheduler_that_sets_the_rate_is_refused_behind_a_warmup():
    assert rates(lambda o: LambdaLR(o, lambda e: 0.5**e), 0, 3) == [1.0, 0.5, 0.25]
    with pytest.raises(ConfigError, match="LambdaLR"):
        rates(lambda o: LambdaLR(o, lambda e: 0.5**e), 2, 3)


def test_frozen_parameters_are_in_no_group():
    module = torch.nn.ModuleDict({"network": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    module["head"].requires_grad_(False)
    module["network"].bias.requires_grad_(False)
    groups = parameter_groups(module, module["network"], 0.1, 10)
    assert [(g["name"], len(g["params"])) for g in groups] == [("backbone", 1)]
