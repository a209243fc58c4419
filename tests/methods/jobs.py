"""What the processes of the pool run; imported by name there. Lightning talks over all of them, so all must run it."""

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar
from unittest import mock

import numpy as np
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from wsreid import methods
from wsreid.data.needs import Needs
from wsreid.data.samplers import EvalSampler
from wsreid.inference import PseudoLabels
from wsreid.methods import BagCE
from wsreid.methods.diagnostics_callback import DiagnosticsCallback
from wsreid.methods.member_table import MemberTable

from .conftest import HEIGHT, NUM_IDS, WIDTH, Served, TinyNet, bag_batch, eval_batch, make_trainer


@contextmanager
def several(rank, size):
    """A trainer's settings for all processes of the pool, and a tiny network."""
    ranks = {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(size)}
    with mock.patch.dict(os.environ, ranks):
        strategy = DDPStrategy(process_group_backend="gloo", cluster_environment=LightningEnvironment())
        yield {"devices": size, "strategy": strategy}


def written(rank, size, members):
    """Members that a process writes, and their entries; one process has wider bags."""
    member = torch.arange(rank, members, size)
    values = torch.rand(len(member), 2 + rank, generator=torch.Generator().manual_seed(rank)).softmax(1)
    return member, values


def sync_table(group, members):
    """The table of a process after two rounds, the second of which only one process writes in."""
    table = MemberTable()
    table.put(*written(group.rank, group.size, members))
    before = table.state_dict()["member"].tolist()
    table.sync()
    if group.rank == 1:
        table.put(torch.tensor([0, members + 3]), torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    table.sync()
    return before, table.state_dict()


class Passes(BagCE):
    """Keeps what the pass over the set gave."""

    needs: ClassVar[Needs] = Needs(epoch_pass=True)

    def __init__(self, **base):
        super().__init__(**base)
        self.passes = []

    def epoch_features(self, embedded):
        self.passes.append((embedded.row, embedded.features))


def images_of(rows):
    """Images that depend on the row alone."""
    made = [
        torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(int(row)), dtype=torch.uint8)
        for row in rows
    ]
    return torch.stack(made)


class Rows(Served):
    """Serves some rows for the pass over the set, shared among the processes as the real one does."""

    def __init__(self, train, rows, rank=0, size=1):
        super().__init__(train)
        self.rows, self.rank, self.size = rows, rank, size

    def epoch_pass_dataloader(self, limit, epoch):
        batches = []
        for rows in EvalSampler(self.rows, 4, self.rank, self.size):
            row = torch.from_numpy(np.asarray(rows))
            empty = eval_batch(n=len(rows))
            batches.append(replace(empty, images=images_of(rows), row=row))
        return self._loader(batches)


def pass_over_rows(rows, root, rank=0, size=1, **settings):
    with mock.patch("wsreid.methods.base.build_network", side_effect=lambda *_, **__: TinyNet()):
        torch.manual_seed(0)
        method = Passes(num_ids=NUM_IDS)
        trainer = make_trainer(root, max_epochs=1, **settings)
        trainer.fit(method, datamodule=Rows([bag_batch(rank)], rows, rank, size))
    return method.passes


def pass_over_rows_together(group, rows, root):
    with several(group.rank, group.size) as settings:
        return pass_over_rows(rows, root, group.rank, group.size, **settings)


class Scripted(BagCE):
    """Labels that depend on member and epoch alone, not on weights, which several processes move otherwise."""

    def pseudo_labels(self, batch, outputs):
        own = batch.image_candidates
        at = (batch.member * 7 + self.current_epoch * (batch.member % 3)) % (own >= 0).sum(1)
        probs = (own >= 0).float() * (1 + batch.member[:, None] % 5 * torch.arange(own.shape[1]))
        return PseudoLabels(own.gather(1, at[:, None])[:, 0], probs / probs.sum(1, keepdim=True))


def watched(number):
    """A batch with members and bags of its own; bags differ in size, and members of different bags in the truth."""
    batch = bag_batch(number, bags=3 + number % 2, width=2 + number % 2, per_bag=3 + number % 3, bag_size=5 + number)
    return replace(batch, member=batch.member + 100 * number, camera=batch.member % (2 + number))


def diagnose_labels(numbers, root, max_members, **settings):
    """Figures and state after two epochs on some batches."""
    callback = DiagnosticsCallback(max_members=max_members)
    with mock.patch("wsreid.methods.base.build_network", side_effect=lambda *_, **__: TinyNet()):
        torch.manual_seed(0)
        trainer = make_trainer(root, max_epochs=2, callbacks=[callback], **settings)
        trainer.fit(Scripted(num_ids=NUM_IDS), datamodule=Served([watched(number) for number in numbers]))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items() if "label" in name}
    return callback.result, callback.state_dict(), logged


def diagnose_together(group, batches, root, max_members):
    with several(group.rank, group.size) as settings:
        return diagnose_labels(batches[group.rank], root, max_members, **settings)


class RowsOfBags(Rows):
    """Serves bags whose rows are among those of the pass, as they are in a real set."""

    redraw_bags = False


def trained(name, options, batches, root, rank=0, size=1, **settings):
    """State of a method after two epochs on some batches, with what it remembers."""
    with mock.patch("wsreid.methods.base.build_network", side_effect=lambda *_, **__: TinyNet()):
        torch.manual_seed(0)
        cls = getattr(methods, name)
        method = cls(num_ids=NUM_IDS, **options)
        rows = np.arange(16, dtype=np.int64)
        data = RowsOfBags([bag_batch(number, views=cls.needs.views) for number in batches], rows, rank, size)
        trainer = make_trainer(root, max_epochs=2, **settings)
        trainer.fit(method, datamodule=data)
    tables = {key: table.state_dict() for key, table in method.tables().items()}
    memory = getattr(method, "memory", torch.empty(0))
    return {key: value.clone() for key, value in method.state_dict().items()}, tables, memory, trainer.global_step


def trained_together(group, name, options, batches, root):
    with several(group.rank, group.size) as settings:
        return trained(name, options, batches[group.rank], root, group.rank, group.size, **settings)
