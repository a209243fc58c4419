import pytest
import torch

from wsreid.errors import WsreidError
from wsreid.methods import BagCE
from wsreid.methods.failed_batch import FailedBatch

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


class Explodes(BagCE):
    """Its term is not finite on batches of one bag id."""

    def losses(self, batch, outputs):
        terms = super().losses(batch, outputs)
        factor = float("inf") if 100 in batch.bag_id else 1.0
        return terms | {"sharp": factor * terms["ce"]}


def failure(tmp_path):
    torch.manual_seed(0)
    with pytest.raises(WsreidError) as caught:
        make_trainer(tmp_path).fit(Explodes(num_ids=NUM_IDS), datamodule=Served([bag_batch(2), bag_batch(1)]))
    return str(caught.value)


def test_the_batch_is_kept_and_fails_again(tmp_path):
    message = failure(tmp_path)
    path = tmp_path / "failed-batch-step1.pt"
    assert "step 1: sharp=inf" in message
    assert f"rows {', '.join(map(str, range(16)))} of the manifest" in message
    assert str(path) in message

    failed = FailedBatch.load(path)
    assert (failed.step, failed.epoch) == (1, 0)
    assert failed.terms["sharp"] == float("inf")
    assert failed.terms["ce"] < 100
    given = bag_batch(1)
    assert torch.equal(failed.batch.images, given.images)
    assert torch.equal(failed.batch.truth.ids, given.truth.ids)
    method = Explodes(num_ids=NUM_IDS)
    method.load_state_dict(dict(failed.weights))
    terms = method.losses(failed.batch, method.outputs(failed.batch))
    assert terms["sharp"].isinf()
    assert float(terms["ce"]) == failed.terms["ce"]


def test_where_it_cannot_be_kept_the_message_still_names_the_term(tmp_path):
    (tmp_path / "failed-batch-step1.pt").mkdir()
    message = failure(tmp_path)
    assert "step 1: sharp=inf" in message
    assert "The batch is not kept: " in message
