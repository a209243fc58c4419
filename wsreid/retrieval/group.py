"""The processes that score one gallery together, each holding a part of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import distributed as dist

from wsreid.errors import ConfigError, FeatureError, WsreidError

DType = TypeVar("DType", bound=np.generic)
Numbers = np.ndarray[tuple[int, ...], np.dtype[DType]]
Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
HEADER = 128  # bytes that name an array's type and shape
Header = tuple[str, tuple[int, ...]]
CHUNK = 2**26  # bytes of all processes together that are under way at once
LEAST = 16  # of each; whole numbers of any type


class Group(Protocol):
    """What an evaluation asks of its processes. Each of them makes the same calls in the same order."""

    @property
    def rank(self) -> int:
        """This process, 0..size-1."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def gather(self, array: Numbers[DType]) -> list[Numbers[DType]]:
        """The arrays of all processes.

        Args:
            array: `(n, ...)` of booleans or numbers; n may differ from process to process, and be 0.

        Returns:
            One array a process, by rank; the same list on each.

        Raises:
            FeatureError: The processes gave different types or shapes (n aside); raised on each of them.
        """

    def sum(self, array: Numbers[DType]) -> Numbers[DType]:
        """The elementwise sum over the processes, floats added up by rank: bit for bit the same on each.

        Args:
            array: Numbers; type and shape the same on each process.

        Returns:
            The sum, in the same type and shape.

        Raises:
            FeatureError: The processes gave different types or shapes; raised on each of them.
        """

    def max(self, value: float) -> float:
        """The greatest of the processes' values; NaN if one is."""

    def agree(self, error: Exception | None) -> None:
        """Waits for all processes, and lets none go on if one has failed.

        Args:
            error: What went wrong on this process; None = nothing.

        Raises:
            Exception: Some process gave an error. That of the lowest rank is raised on each; if it is no WsreidError,
                the other processes raise a RuntimeError that names it.
        """


@contextmanager
def together(group: Group) -> Iterator[None]:
    """Runs a block on each process, and ends it on all with the first rank's error if one fails.

    The block must not talk to the group: a process that fails in it would leave the others waiting.

    Args:
        group: The processes; each must enter the block.

    Yields:
        Nothing.
    """
    try:
        yield
    except Exception as error:
        group.agree(error)
        raise
    group.agree(None)


class Alone:
    """A group of one process."""

    rank = 0
    size = 1

    def gather(self, array: Numbers[DType]) -> list[Numbers[DType]]:
        """The array, in a list."""
        return [array]

    def sum(self, array: Numbers[DType]) -> Numbers[DType]:
        """The array."""
        return array

    def max(self, value: float) -> float:
        """The value."""
        return value

    def agree(self, error: Exception | None) -> None:
        """Raises the error, if there is one."""
        if error is not None:
            raise error


class Ranks:
    """The processes of a torch.distributed group.

    Arrays travel as bytes, in chunks, on the CPU under gloo and on the current CUDA device under NCCL; nothing but the
    text and attributes of an error is ever pickled.

    Args:
        process_group: The group; None = all processes.

    Raises:
        ConfigError: torch.distributed is not running.
    """

    def __init__(self, process_group: dist.ProcessGroup | None = None) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise ConfigError(
                "retrieval over several processes: torch.distributed is not running. "
                "Call torch.distributed.init_process_group first, or leave out the group."
            )
        self._group = process_group
        self.rank = dist.get_rank(process_group)
        self.size = dist.get_world_size(process_group)

    def gather(self, array: Numbers[DType]) -> list[Numbers[DType]]:
        """See `Group.gather`."""
        data = _native(array)
        headers = self._headers(data)
        if data.ndim == 0 or len({(dtype, shape[1:]) for dtype, shape in headers}) > 1:
            raise _differ(headers)
        gathered = [np.empty(shape, dtype=data.dtype) for _, shape in headers]
        targets = [_bytes(target) for target in gathered]
        for start, parts in self._exchange(_bytes(data), [len(target) for target in targets]):
            for target, part in zip(targets, parts, strict=True):
                target[start : start + len(part)] = part
        return gathered

    def sum(self, array: Numbers[DType]) -> Numbers[DType]:
        """See `Group.sum`."""
        data = _native(array)
        headers = self._headers(data)
        if data.dtype == np.bool_ or len(set(headers)) > 1:
            raise _differ(headers)
        total = np.empty(data.shape, dtype=data.dtype)
        target = _bytes(total)
        for start, parts in self._exchange(_bytes(data), [len(target)] * self.size):
            added = parts[0].view(data.dtype)
            for part in parts[1:]:
                added = added + part.view(data.dtype)
            target[start : start + len(parts[0])] = added.view(np.uint8)
        return total

    def max(self, value: float) -> float:
        """See `Group.max`."""
        return float(np.concatenate(self.gather(np.array([value], dtype=np.float64))).max())

    def agree(self, error: Exception | None) -> None:
        """See `Group.agree`."""
        told = self.gather(np.frombuffer(b"" if error is None else _pack(error), dtype=np.uint8))
        for rank, text in enumerate(told):
            if len(text) == 0:
                continue
            if rank == self.rank and error is not None:
                raise error
            raise _unpack(text.tobytes(), rank) from error

    def _headers(self, array: Numbers[DType]) -> list[Header]:
        """Type and shape of each process's array."""
        text = " ".join([array.dtype.str, *map(str, array.shape)]).encode()
        mine = np.frombuffer(text.ljust(HEADER), dtype=np.uint8)
        words = [header.tobytes().decode().split() for header in self._all_gather(mine)]
        return [(word[0], tuple(map(int, word[1:]))) for word in words]

    def _exchange(self, data: Bytes, counts: list[int]) -> Iterator[tuple[int, list[Bytes]]]:
        """Yields `(start, the bytes from start of each process)` until all `counts` bytes have come."""
        chunk = max(CHUNK // self.size // LEAST, 1) * LEAST
        for start in range(0, max(counts), chunk):
            longest = min(chunk, max(counts) - start)
            mine = np.zeros(longest, dtype=np.uint8)
            part = data[start : start + longest]
            mine[: len(part)] = part
            parts = self._all_gather(mine)
            yield start, [p[: max(0, n - start)] for p, n in zip(parts, counts, strict=True)]

    def _all_gather(self, data: Bytes) -> list[Bytes]:
        """Equally long bytes of all processes."""
        nccl = dist.get_backend(self._group) == "nccl"
        mine = torch.tensor(data, device=torch.device("cuda", torch.cuda.current_device()) if nccl else "cpu")
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(parts, mine, group=self._group)
        return [part.cpu().numpy() for part in parts]


def _native(array: Numbers[DType]) -> Numbers[DType]:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"processes exchange numbers alone, not {array.dtype}.")
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _bytes(array: Numbers[DType]) -> Bytes:
    """The memory of a C-ordered array."""
    return array.reshape(-1).view(np.uint8)


def _differ(headers: list[Header]) -> FeatureError:
    given = "; ".join(f"process {rank}: {np.dtype(dtype)} {shape}" for rank, (dtype, shape) in enumerate(headers))
    return FeatureError(
        f"the processes do not hold arrays of one kind ({given}). They must run the same model in the same precision."
    )


def _pack(error: Exception) -> bytes:
    """An error of ours with its attributes; of others the text, since not each of them can be made anew."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, WsreidError):
        try:
            return pickle.dumps((type(error), error.args, error.__dict__, text))
        except (pickle.PicklingError, TypeError, AttributeError):  # an attribute or a class that does not travel
            return pickle.dumps((WsreidError, error.args[:1], {}, text))
    return pickle.dumps((None, (), {}, text))


def _unpack(data: bytes, rank: int) -> Exception:
    kind, args, attributes, text = pickle.loads(data)
    if kind is None:
        return RuntimeError(f"process {rank} failed: {text}")
    error: WsreidError = kind.__new__(kind, *args)  # without __init__, which may make its text from other arguments
    error.__dict__.update(attributes)
    return error
