"""Options out of range are refused by name, before anything is trained."""

import math

import pytest

from wsreid.errors import ConfigError
from wsreid.methods import CMIL, CPAL, CVMIML, DGL, BagCE, DGLOfficial, Oracle, OracleBag, Sinkhorn
from wsreid.methods.option_ranges import above_zero, at_least_one, below_one, not_negative

from .conftest import NUM_IDS

pytestmark = pytest.mark.usefixtures("tiny_network")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (not_negative, (0, 0.5, math.inf), (-1e-9, math.nan)),
        (above_zero, (1e-9, 3), (0, -1, math.nan)),
        (at_least_one, (1, 7), (0, -1)),
        (below_one, (0, 0.999), (1, -0.1, math.nan)),
    ],
)
def test_ranges(check, good, bad):
    for value in good:
        check(here=value)
    for value in bad:
        with pytest.raises(ConfigError, match="here must"):
            check(other=good[0], here=value)


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        (BagCE, "lr", 0.0),
        (BagCE, "classifier_lr_factor", -1.0),
        (BagCE, "warmup_epochs", -1),
        (Oracle, "smoothing", 1.0),
        (Oracle, "margin", -0.1),
        (OracleBag, "sigma", 0.0),
        (OracleBag, "triplet_weight", -1.0),
        (DGLOfficial, "sigma", 0.0),
        (DGLOfficial, "pair_weight", -1.0),
        (CMIL, "smoothing", -0.1),
        (CMIL, "margin", -0.1),
        (CMIL, "ce_weight", -1.0),
        (CPAL, "margin", -1.0),
        (CVMIML, "weight", -3.0),
        (CVMIML, "delay", -1),
        (Sinkhorn, "max_rounds", 0),
        (Sinkhorn, "tolerance", 0.0),
        (Sinkhorn, "mass_decay", 1.0),
        (DGL, "bank_weight", -1.0),
        (DGL, "contrast_temperature", 0.0),
        (DGL, "contrast_weight", -1.0),
    ],
)
def test_methods_check_theirs(method, option, value):
    with pytest.raises(ConfigError, match=option):
        method(num_ids=NUM_IDS, **{option: value})
