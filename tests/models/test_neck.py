import torch
from torch import nn

from wsreid.models.neck import BNNeck, make_neck


def test_a_fresh_neck_in_eval_mode_only_rescales():
    features = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    neck = BNNeck(8).eval()
    torch.testing.assert_close(neck(features), features / (1 + 1e-5) ** 0.5)


def test_a_training_neck_standardises_the_batch():
    features = 3 + 2 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    out = BNNeck(4).train()(features)
    torch.testing.assert_close(out.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_the_bias_is_never_learnt():
    neck = BNNeck(4)
    learnt = {name for name, parameter in neck.named_parameters() if parameter.requires_grad}
    assert learnt == {"bn.weight"}
    assert torch.count_nonzero(neck.bn.bias) == 0


def test_no_neck_is_the_identity():
    assert isinstance(make_neck("none", 4), nn.Identity)
    assert isinstance(make_neck("bnneck", 4), BNNeck)
