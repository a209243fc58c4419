"""Cross entropy on folders."""

import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.methods import FolderCE

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_the_label_is_the_only_candidate():
    model, batch = FolderCE(num_ids=NUM_IDS).eval(), bag_batch(width=1)
    outputs = model.outputs(batch)
    labels = batch.candidates[batch.bag, 0]
    expected = sum(torch.nn.functional.cross_entropy(z, labels) for z in outputs.logits) / 2
    assert torch.allclose(model.losses(batch, outputs)["ce"], expected)


def test_padding_is_no_second_candidate():
    model, batch = FolderCE(num_ids=NUM_IDS).eval(), bag_batch(width=2)
    batch.candidates[:, 1] = -1
    assert model.losses(batch, model.outputs(batch))["ce"].isfinite()


def test_several_candidates_are_refused():
    model, batch = FolderCE(num_ids=NUM_IDS).eval(), bag_batch(seed=2, width=2)
    batch.candidates[0, 1] = -1
    with pytest.raises(ConfigError, match=r"bag 201 has several candidates.*--data.bags.sysu_widths \[1\]"):
        model.losses(batch, model.outputs(batch))


class Bags(list):
    """Candidate lists with the interface of wsreid.data.bags."""

    bag_id = (10, 11, 12)

    def candidates(self, bag):
        return self[bag]


@pytest.mark.parametrize("lists", [[[1], [2], [3]], [[1], [2, 4], [3]]])
def test_wide_bags_are_refused_before_training(lists, tmp_path):
    data = Served([bag_batch(width=1)])
    data.bags = Bags(lists)
    model = FolderCE(num_ids=NUM_IDS)
    if lists[1] == [2]:
        make_trainer(tmp_path).fit(model, datamodule=data)
        assert model.global_step == 1
        return
    data.train_dataloader = pytest.fail
    with pytest.raises(ConfigError, match="bag 11 has several candidates"):
        make_trainer(tmp_path).fit(model, datamodule=data)
