"""How `predict` runs the network, and that the method has its own again afterwards."""

import pytest
import torch

from tests.methods.conftest import Served, TinyNet, eval_batch, make_trainer
from wsreid.errors import ConfigError
from wsreid.methods import BagCE, MeanTeacher
from wsreid.methods.camera_statistics import batch_norms
from wsreid.methods.engine import COMPILE_FROM, EmbedEngine, chosen_engine

PLAIN = {"own_statistics": False, "precision": "32-true", "images": 100, "device": "cpu"}


def test_folded_is_chosen_where_it_can_be():
    assert chosen_engine("auto", **PLAIN) == "folded"
    assert chosen_engine("auto", **(PLAIN | {"precision": "bf16-mixed"})) == "folded"
    for name in ("eager", "folded", "compiled"):
        assert chosen_engine(name, **PLAIN) == name
    for why, told in (({"own_statistics": True}, "camera_norm"), ({"precision": "bf16-true"}, "bf16-true rounds")):
        many = PLAIN | why | {"images": COMPILE_FROM}
        assert chosen_engine("auto", **many) == chosen_engine("eager", **many) == "eager"
        with pytest.raises(ConfigError, match=told):
            chosen_engine("folded", **(PLAIN | why))


def test_many_images_are_compiled_for_where_that_works(monkeypatch, caplog):
    tried = []

    def compiled(module, dynamic):
        tried.append(dynamic)
        return module

    monkeypatch.setattr(torch, "compile", compiled)
    many = PLAIN | {"images": COMPILE_FROM}
    assert chosen_engine("auto", **many) == "compiled"
    assert chosen_engine("auto", **(many | {"images": COMPILE_FROM - 1})) == "folded"
    assert chosen_engine("auto", **(many | {"device": "cuda"})) == "folded"
    assert tried == [True]

    def broken(module, dynamic):
        raise RuntimeError("InvalidCxxCompiler: none found\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    assert chosen_engine("auto", **many) == "folded"
    (told,) = caplog.messages
    assert told.endswith("if torch.compile worked here (a C++ compiler is needed): InvalidCxxCompiler: none found")


@pytest.mark.slow
def test_torch_compile_works_here():
    assert chosen_engine("auto", **(PLAIN | {"images": COMPILE_FROM})) == "compiled"


def sized():
    data = Served([])
    data.height, data.width = 16, 8
    return data


def seen_by(method, engine, tmp_path, breaks=False):
    """Predicts; returns the features, and the norms that the networks had then."""
    norms = []
    step = type(method).predict_step

    class Watched(type(method)):
        def predict_step(self, *args, **kwargs):
            norms.append(len(batch_norms(self)))
            if breaks:
                raise RuntimeError("the power went")
            return step(self, *args, **kwargs)

    method.__class__ = Watched
    trainer = make_trainer(tmp_path, callbacks=[EmbedEngine(engine)])
    found = trainer.predict(method, datamodule=sized())
    return torch.cat([outputs["features"] for side in found for outputs in side]), norms


@pytest.mark.parametrize("engine", ["eager", "folded", pytest.param("compiled", marks=pytest.mark.slow)])
def test_features_are_those_of_the_method_whose_network_comes_back(tiny_network, tmp_path, engine):
    method = BagCE(num_ids=12, flip_test=True)
    for norm in batch_norms(method).values():
        torch.nn.init.uniform_(norm.running_mean, -1, 1)
    network, was = method.network, bool(torch.tensor(1e-38).mul(0.01) == 0)
    features, norms = seen_by(method, engine, tmp_path)
    images = torch.cat([eval_batch(seed).images for seed in (0, 1)])
    with torch.no_grad():
        torch.testing.assert_close(features, method.eval().embed(images), atol=1e-5, rtol=1e-4)
    assert norms == [2 if engine == "eager" else 0] * 2
    assert method.network is network
    assert bool(torch.tensor(1e-38).mul(0.01) == 0) is was


def test_the_network_comes_back_after_an_error(tiny_network, tmp_path):
    method = BagCE(num_ids=12)
    network = method.network
    with pytest.raises(RuntimeError, match="power"):
        seen_by(method, "folded", tmp_path, breaks=True)
    assert method.network is network


def test_the_network_that_embeds_is_folded_whichever_it_is(tiny_network, tmp_path):
    method = MeanTeacher(num_ids=12)
    _, norms = seen_by(method, "folded", tmp_path)
    assert norms == [2, 2]  # the student's, which takes no part, stay
    assert isinstance(method.follower.network, TinyNet)
    assert len(batch_norms(method)) == 4
