"""The evaluation as a torchmetrics metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, get_args

import numpy as np
import torch
import torchmetrics
from torch import Tensor
from torch.distributed import ProcessGroup
from torchmetrics.utilities.distributed import gather_all_tensors

from wsreid.errors import ConfigError
from wsreid.retrieval.checks import check_choice, check_positive, check_similarity
from wsreid.retrieval.errors import NonFiniteFeaturesError, Side
from wsreid.retrieval.evaluate import Ties, evaluate
from wsreid.retrieval.features import Metric
from wsreid.retrieval.group import Group, Numbers, Ranks
from wsreid.retrieval.junk import UNKNOWN
from wsreid.retrieval.outputs import SIDES, Embedded, Sides, StepOutputs, share
from wsreid.retrieval.protocols import Protocol, protocol_named
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import summary

DType = TypeVar("DType", bound=np.generic)
SyncFn = Callable[..., list[Tensor]]


class RetrievalMetric(torchmetrics.Metric):
    """Scores the features of all batches since the last `reset`: R1, R5, R10, mAP_step, mAP_trapezoid, mINP.

    Features stay where they were given, on the CPU in float32, outside torchmetrics' states: over several processes
    each keeps its part of the gallery, only queries, scores of matches and counts are exchanged, and an image whose row
    several processes give counts once. The state is what is being counted; torchmetrics adds it up over the processes.
    The figures are those of one process, bit for bit, however the images are split into batches.

    Calling the metric, `metric(...)`, is `metric.update(...)` and returns None: one batch holds no gallery to rank. A
    `state_dict` holds no features; pickles and clones do.

    Args:
        metric: `cosine`, `dot`, or `euclidean` (nearest first).
        ties: Where non-matches that tie with a match go: `mid`, `optimistic` or `pessimistic`.
        protocol: What is junk and which queries count, by value or name; None = `market1501` where cameras are known,
            else `none`.
        max_rank: Length of the CMC curve of `result`.
        memory_mb: Working memory of the ranking in MB, features aside.
        seed: Of the draws of a single-shot protocol.
        options: Those of `torchmetrics.Metric`.

    Raises:
        ConfigError: An option is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(
        self,
        metric: Metric = "cosine",
        ties: Ties = "mid",
        protocol: Protocol | str | None = None,
        max_rank: int = 50,
        memory_mb: int = 512,
        seed: int = 0,
        **options: object,
    ) -> None:
        check_similarity(metric)
        check_choice("ties", ties, get_args(Ties))
        check_positive("max_rank", max_rank)
        check_positive("memory_mb", memory_mb)
        if protocol is not None:
            protocol_named(protocol)
        super().__init__(**options)
        self.metric: Metric = metric
        self.ties: Ties = ties
        self.protocol = protocol
        self.max_rank = max_rank
        self.memory_mb = memory_mb
        self.seed = seed
        self.add_state("counts", torch.zeros(0, dtype=torch.int64), dist_reduce_fx="sum")
        # A MetricCollection updates only one of several metrics whose states are equal; NaN equals nothing.
        self.add_state("apart", torch.tensor(torch.nan), dist_reduce_fx="sum")
        self._outputs = {side: StepOutputs() for side in SIDES}
        self._result: RetrievalResult | None = None

    @property
    def result(self) -> RetrievalResult:
        """The whole result of the last `compute`.

        Raises:
            ConfigError: There was none since the last `update` or `reset`.
        """
        if self._result is None:
            raise ConfigError("RetrievalMetric: no result yet; call compute() first.")
        return self._result

    def update(self, features: Tensor, pid: Tensor, camera: Tensor | None, row: Tensor, side: Side) -> None:
        """Takes a batch.

        Args:
            features: `(N, D)`.
            pid: Identities, `(N,)`; -1 = unknown.
            camera: Cameras, `(N,)`; -1 = unknown. None = -1 for all of them.
            row: The data set's row of each image, `(N,)`, by which errors name it and repeated images are known over
                several processes; -1 = unknown.
            side: `query` or `gallery`.

        Raises:
            ConfigError: Shapes or types do not fit, or there is no such side.
        """
        check_choice("RetrievalMetric.update: side", side, get_args(Side))
        if camera is None and isinstance(pid, Tensor):
            camera = torch.full_like(pid, UNKNOWN)
        batch = {"features": features, "pid": pid, "camera": camera, "row": row}
        _check_batch(batch, self._outputs[side].width, side)
        self._result = None
        self._outputs[side].add(batch, "RetrievalMetric.update")

    def compute(self) -> dict[str, Tensor]:
        """The figures of `summary`, each a float32 scalar on the metric's device; over all processes.

        Raises:
            FeatureError: The features cannot be scored; raised on each process.
        """
        if not self._is_synced:
            self._result = self._evaluate(None)
        figures = summary(self.result).items()
        return {name: torch.tensor(value, dtype=torch.float32, device=self.device) for name, value in figures}

    def forward(self, features: Tensor, pid: Tensor, camera: Tensor | None, row: Tensor, side: Side) -> None:
        """See `update`."""
        self.update(features, pid, camera, row, side)

    def reset(self) -> None:
        """Forgets all batches."""
        super().reset()
        self._outputs = {side: StepOutputs() for side in SIDES}
        self._result = None

    def merge_state(self, incoming_state: Mapping[str, object] | torchmetrics.Metric) -> None:
        """Takes the batches of another metric.

        Args:
            incoming_state: A `RetrievalMetric`.

        Raises:
            ConfigError: It is something else: a state alone holds no features.
        """
        if not isinstance(incoming_state, RetrievalMetric):
            raise ConfigError(f"RetrievalMetric takes the batches of its kind, not of {type(incoming_state).__name__}.")
        for side in SIDES:
            self._outputs[side].extend(incoming_state._outputs[side])
        self._update_count += incoming_state._update_count
        self._computed = self._result = None

    def set_dtype(self, dst_type: str | torch.dtype) -> RetrievalMetric:
        """Changes nothing: counts are whole numbers, and features are ranked as they were given."""
        return self

    def _sync_dist(self, dist_sync_fn: SyncFn = gather_all_tensors, process_group: ProcessGroup | None = None) -> None:
        """Scores over the processes; the sums go through the state, as torchmetrics reduces it."""

        def add(whole: Tensor) -> Tensor:
            self.counts = whole.to(self.device)
            torchmetrics.Metric._sync_dist(self, dist_sync_fn, process_group)
            return self.counts

        self._result = self._evaluate(_SummedByMetric(process_group or self.process_group, add))

    def _evaluate(self, group: _SummedByMetric | None) -> RetrievalResult:
        sides = share(self._outputs, group, keep=True)
        if group is not None:
            group.sides = sides
            return self._score(sides, group)
        try:
            return self._score(sides, None)
        except NonFiniteFeaturesError as error:
            raise _named(error, sides) from error

    def _score(self, sides: Sides, group: Group | None) -> RetrievalResult:
        query, gallery = sides.query, sides.gallery
        return evaluate(
            query.features,
            gallery.features,
            q_pid=query.pid,
            g_pid=gallery.pid,
            q_cam=query.camera,
            g_cam=gallery.camera,
            metric=self.metric,
            ties=self.ties,
            protocol=self.protocol,
            max_rank=self.max_rank,
            query_row=query.row,
            gallery_row=gallery.row,
            memory_mb=self.memory_mb,
            device=self.device,
            seed=self.seed,
            group=group,
        )


class _SummedByMetric(Ranks):
    """Ranks whose counts another adds up over them, and which put the rows of their images into an error.

    Attributes:
        sides: The images of this process, once they are known.
    """

    sides: Sides | None = None

    def __init__(self, process_group: ProcessGroup | None, add: Callable[[Tensor], Tensor]) -> None:
        super().__init__(process_group)
        self._add = add

    def sum(self, array: Numbers[DType]) -> Numbers[DType]:
        """See `Group.sum`."""
        if array.dtype != np.int64:
            return super().sum(array)
        return self._add(torch.from_numpy(array.copy())).cpu().numpy().astype(array.dtype, copy=False)

    def agree(self, error: Exception | None) -> None:
        """See `Group.agree`."""
        if isinstance(error, NonFiniteFeaturesError) and self.sides is not None:
            error = _named(error, self.sides)
        super().agree(error)


def _named(error: NonFiniteFeaturesError, sides: Sides) -> NonFiniteFeaturesError:
    """The error with the rows that were given to `update`."""
    side: Embedded = sides.query if error.side == "query" else sides.gallery
    rows = side.row[list(error.indices[:5])].tolist()
    names = (
        f"row {row}" if row != UNKNOWN else f"image {i} without a row"
        for i, row in zip(error.indices, rows, strict=False)
    )
    return error.named(tuple(names))


def _check_batch(batch: Mapping[str, object], width: int, side: Side) -> None:
    """Refuses arguments of `update` that do not fit each other, or the D of the batches before."""
    tensors: dict[str, Tensor] = {}
    for name, value in batch.items():
        if not isinstance(value, Tensor):
            raise ConfigError(f"RetrievalMetric.update: {name} is {type(value).__name__}, expected a tensor.")
        tensors[name] = value
    features, numbers = tensors["features"], {name: tensors[name] for name in ("pid", "camera", "row")}
    if features.ndim != 2:
        raise ConfigError(f"RetrievalMetric.update: features of shape {tuple(features.shape)}, expected (N, D).")
    if not features.is_floating_point():
        raise ConfigError(f"RetrievalMetric.update: features are {features.dtype}; give features.float().")
    for name, value in numbers.items():
        if value.shape != features.shape[:1]:
            raise ConfigError(
                f"RetrievalMetric.update: {len(features)} features need {name} of shape ({len(features)},), "
                f"got {tuple(value.shape)}."
            )
        if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            raise ConfigError(f"RetrievalMetric.update: {name} is {value.dtype}, expected whole numbers; -1 = unknown.")
    if width and features.shape[1] != width:
        raise ConfigError(
            f"RetrievalMetric.update: {side} features of {features.shape[1]} dimensions after some of {width}."
        )
