"""A training loader that can go on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Protocol, TypedDict

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from wsreid.data.batch import BagBatch
from wsreid.data.loader import init_worker
from wsreid.data.samplers import BatchPlan
from wsreid.errors import ConfigError


class PlanSampler(Protocol):
    """What plans the batches of an epoch from (seed, epoch) alone."""

    epoch: int

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration plans."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields the batches of the epoch."""


class Place(TypedDict):
    """Where in an epoch the training is: what a checkpoint holds of its loader.

    Attributes:
        epoch: The epoch.
        batches: Batches of it that were trained on.
        of: Batches in the whole epoch.
        drawn_with: What the plans depended on.
    """

    epoch: int
    batches: int
    of: int
    drawn_with: dict[str, int | str]


class RestSampler(Sampler[BatchPlan]):
    """The plans of another sampler from some batch on; its length is still that of the whole epoch, as Lightning asks.

    Args:
        plans: Plans the whole epoch.

    Attributes:
        start: Batches to pass over in the next iteration: they are planned, which is quick, but their images not read.
    """

    def __init__(self, plans: PlanSampler) -> None:
        self.plans = plans
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration plans; called by Lightning."""
        self.plans.set_epoch(epoch)

    def __len__(self) -> int:
        """Batches in the whole epoch."""
        return len(self.plans)

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields what is left of the epoch."""
        return islice(iter(self.plans), self.start, None)


class ResumableLoader(DataLoader[BagBatch]):
    """Training batches; a checkpoint in the middle of an epoch goes on with exactly the batches not yet trained on.

    Lightning stores `state_dict` in each checkpoint. It counts the batches handed out, not those that workers have
    prepared ahead, so the number of workers may change between the runs.

    Args:
        dataset: Makes a batch from its plan.
        plans: Plans the batches.
        drawn_with: What the plans depend on, by option name. A checkpoint from the middle of an epoch drawn otherwise
            is refused: the rest of the epoch would hold bags seen before.
        trained: Says how many batches of this epoch have been trained on. One less than were handed out, where an
            exception ended the step; None = as many as were handed out.
        workers: Processes that load, kept between epochs; 0 = this one.
        pin_memory: Put batches where a GPU fetches them fast.
    """

    def __init__(
        self,
        dataset: Dataset[BagBatch],
        plans: PlanSampler,
        *,
        drawn_with: Mapping[str, int | str] | None = None,
        trained: Callable[[], int] | None = None,
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self._rest = RestSampler(plans)
        super().__init__(
            dataset,
            sampler=self._rest,
            batch_size=None,  # the dataset makes whole batches
            num_workers=workers,
            worker_init_fn=init_worker,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # iterating must not move the global one: a resume iterates anew
        )
        self.plans = plans
        self._drawn_with = dict(drawn_with or {})
        self._trained = trained
        self._resume_at = (0, 0)  # epoch, and batches of it to pass over
        self._position = (0, 0)  # epoch, and batches of it that were handed out

    def __iter__(self) -> Iterator[BagBatch]:  # type: ignore[override]  # torch names its own iterator class
        """Yields the batches of the sampler's epoch, or what is left of it after `load_state_dict`.

        Nothing is planned or read before the first batch is asked for: Lightning makes the iterator before it says
        which epoch it is, and workers would start on a wrong one.
        """
        epoch = self.plans.epoch
        start = self._resume_at[1] if self._resume_at[0] == epoch else 0
        self._resume_at = (0, 0)
        self._rest.start = start
        self._position = (epoch, start)
        for handed_out, batch in enumerate(super().__iter__(), start + 1):
            self._position = (epoch, handed_out)
            yield batch

    def state_dict(self) -> Place:
        """Where in which epoch the training is; kept in each checkpoint."""
        epoch, handed_out = self._position
        batches = handed_out if self._trained is None else min(handed_out, self._trained())
        return {"epoch": epoch, "batches": batches, "of": len(self), "drawn_with": dict(self._drawn_with)}

    def load_state_dict(self, state: Place) -> None:
        """Lets the next iteration, if it is of the same epoch, begin behind the batches trained on.

        Args:
            state: From `state_dict`.

        Raises:
            ConfigError: The epoch was left in the middle, and its batches were drawn otherwise than they are now.
        """
        if 0 < state["batches"] < state["of"]:
            self._check_drawn_alike(state["epoch"], state["drawn_with"])
        self.plans.set_epoch(state["epoch"])
        self._resume_at = self._position = (state["epoch"], state["batches"])

    def _check_drawn_alike(self, epoch: int, before: Mapping[str, int | str]) -> None:
        names = [name for name in self._drawn_with if before.get(name) != self._drawn_with[name]]
        if names:
            shown = ", ".join(f"{name} was {before.get(name)}, is {self._drawn_with[name]}" for name in names)
            raise ConfigError(
                f"the checkpoint was written in the middle of epoch {epoch}, whose other batches cannot be found any "
                f"more: {shown}. Resume with the same options, or from a checkpoint of an epoch's end."
            )
