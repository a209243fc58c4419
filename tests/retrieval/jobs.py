"""What the processes of the pool run; imported by name there."""

import os
from unittest import mock

import numpy as np
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from wsreid.errors import ConfigError, WsreidError
from wsreid.retrieval import NonFiniteFeaturesError, callback, evaluate
from wsreid.retrieval import group as group_module
from wsreid.retrieval.group import together
from wsreid.retrieval.metric import RetrievalMetric
from wsreid.retrieval.outputs import SIDES, StepOutputs, share

from .ddp import Data, Model, trainer


class UntoldError(WsreidError):
    """Holds what cannot be sent."""

    def __init__(self) -> None:
        super().__init__("cannot travel whole")
        self.hook = lambda: None


def ragged(rank, dtype):
    return (np.arange(rank * 5 * 3) + rank).reshape(-1, 3).astype(dtype)


def gather(group, dtype, chunk):
    kept, group_module.CHUNK = group_module.CHUNK, chunk
    try:
        return group.gather(np.asfortranarray(ragged(group.rank, dtype)))
    finally:
        group_module.CHUNK = kept


def addends(rank):
    return {
        "whole": np.array([[2**53, rank], [-1, 7]]),
        "float": np.array([1e16, 0.1, -0.3]) * (-1) ** rank + rank,
        "scalar": np.array(rank + 0.5, dtype=np.float32),
        "none": np.empty((0, 4)),
    }


def add_up(group, chunk):
    kept, group_module.CHUNK = group_module.CHUNK, chunk
    try:
        return {name: group.sum(array) for name, array in addends(group.rank).items()}
    finally:
        group_module.CHUNK = kept


def greatest(group, values):
    return group.max(values[group.rank])


def fail(group, failing, kind):
    with together(group):
        if group.rank in failing:
            raise {
                "features": lambda: NonFiniteFeaturesError("gallery", (group.rank, 9)),
                "config": lambda: ConfigError(f"option {group.rank}"),
                "other": lambda: KeyError(f"key {group.rank}"),
                "untold": UntoldError,
            }[kind]()
    return "went on"


def mismatched(group, what):
    dtype = np.float64 if what == "type" and group.rank else np.float32
    array = np.zeros((2, 3 + group.rank if what == "shape" else 3), dtype=dtype)
    call = group.sum if what == "length" else group.gather
    return call(array[: 1 + group.rank])


def collect(batches):
    """`StepOutputs` of batches of row numbers; the features are made of the row."""
    outputs = StepOutputs()
    for rows in batches:
        ids = torch.tensor(rows)
        features = ids[:, None].float().repeat(1, 3)
        outputs.add({"features": features, "pid": ids % 4, "camera": ids % 2, "row": ids}, "test_step")
    return outputs


def share_rows(group, batches):
    """Rows of the queries and of this process's gallery, their features, and the counts."""
    sides = share({side: collect(batches[side][group.rank]) for side in SIDES}, group)
    for side in (sides.query, sides.gallery):
        assert side.features.shape == (len(side.row), 3)
        assert np.array_equal(side.features[:, 2], side.row)
        assert np.array_equal(side.pid, side.row % 4)
    return sides.query.row.tolist(), sides.gallery.row.tolist(), dict(sides.images)


def share_widths(group, widths):
    outputs, one = {side: StepOutputs() for side in SIDES}, torch.tensor([group.rank])
    features = torch.ones(1, widths[group.rank])
    outputs["query"].add({"features": features, "pid": one, "camera": one, "row": one}, "test_step")
    return share(outputs, group)


def score_part(group, p, part, options):
    """Scores the gallery of which this process holds the images with its number in `part`."""
    mine = np.flatnonzero(part == group.rank)
    return evaluate(
        p.query,
        p.gallery[mine],
        q_pid=p.q_pid,
        g_pid=p.g_pid[mine],
        q_cam=p.q_cam,
        g_cam=p.g_cam[mine],
        gallery_row=mine,
        group=group,
        **options,
    )


def score_spoilt(group, p, what):
    if what == "query":
        p.query[1, 0] = np.nan
    elif what == "half of the queries":
        mine = np.arange(len(p.query)) % group.size == group.rank
        p.query, p.q_pid, p.q_cam = p.query[mine], p.q_pid[mine], p.q_cam[mine]
    elif group.rank == 1 and what == "another metric":
        return score_part(group, p, np.arange(len(p.gallery)) % group.size, {"metric": "euclidean"})
    elif group.rank == 1 and what == "other query identities":
        p.q_pid = np.roll(p.q_pid, 1)
    elif group.rank == 1 and what == "gallery":
        p.gallery[4, 0] = np.inf
    elif group.rank == 1:
        p.g_pid = p.g_pid.astype(float)
    return score_part(group, p, np.arange(len(p.gallery)) % group.size, {})


def score_under_ddp(group, p, folder, options=None):
    """The callback's result, what was logged, and how many images of each side this process scored with.

    Lightning talks over all processes of the pool, so all must run this.
    """
    held = []

    def spy(query, gallery, **options):
        held.extend([len(query), len(gallery)])
        return evaluate(query, gallery, **options)

    ranks = {"LOCAL_RANK": str(group.rank), "NODE_RANK": "0", "WORLD_SIZE": str(group.size)}
    with mock.patch.dict(os.environ, ranks), mock.patch.object(callback, "evaluate", spy):
        strategy = DDPStrategy(process_group_backend="gloo", cluster_environment=LightningEnvironment())
        scorer = callback.RetrievalCallback(**(options or {}))
        run = trainer(folder / "ddp", scorer, devices=group.size, strategy=strategy)
        run.test(Model(), datamodule=Data(p, rank=group.rank, size=group.size), verbose=False)
    logged = {name: float(value) for name, value in run.callback_metrics.items()}
    return scorer.results["test"], logged, held


def feed(metric, p, queries, images, cuts):
    """Gives a metric images of a problem, the gallery cut into batches."""
    sides = [("query", p.query, p.q_pid, p.q_cam, [queries])]
    sides.append(("gallery", p.gallery, p.g_pid, p.g_cam, np.split(images, list(cuts))))
    for side, features, pid, camera, batches in sides:
        for rows in batches:
            numbers = (torch.from_numpy(x[rows]) for x in (features, pid, camera))
            metric.update(*numbers, torch.from_numpy(rows), side)


def score_by_metric(group, p):
    """Results of two computes of a metric whose images several processes share, some twice; and its states."""
    metric = RetrievalMetric(process_group=group._group)
    images = np.arange(len(p.gallery))
    feed(metric, p, np.arange(group.rank, len(p.query), group.size), images[:0], ())
    own = images[images % group.size == group.rank]
    feed(metric, p, np.arange(0), np.concatenate([own, images[:2]]), (5,))
    results = []
    for _ in range(2):
        metric.compute()
        results.append(metric.result)
        metric._computed = None
    return results, {"counts": (metric.counts.dtype, tuple(metric.counts.shape))}


def recover_by_metric(group, wrong, p):
    """The error of a first compute, and the result of the next, after a reset."""
    metric = RetrievalMetric(process_group=group._group)
    feed(metric, wrong, np.arange(7), np.arange(40), ())
    error = None
    try:
        metric.compute()
    except WsreidError as found:
        error = type(found).__name__
    metric.reset()
    feed(metric, p, np.arange(7), np.arange(40), ())
    metric.compute()
    return error, metric.result


def refuse_by_metric(group, p):
    """What a metric says of features, the image of place i being row 100 + i, that it cannot rank."""
    metric = RetrievalMetric(process_group=group._group)
    for side, *numbers in (("query", p.query, p.q_pid, p.q_cam), ("gallery", p.gallery, p.g_pid, p.g_cam)):
        own = np.arange(group.rank, len(numbers[0]), group.size)
        metric.update(*(torch.from_numpy(x[own]) for x in numbers), torch.from_numpy(own + 100), side)
    try:
        metric.compute()
    except WsreidError as found:
        return str(found)
    return "nothing"
