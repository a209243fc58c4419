"""What a method remembers of each member: one distribution over the candidates of its bag."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor


class TableState(TypedDict):
    """What a checkpoint holds of a table: the members that have an entry, and their entries.

    Attributes:
        member: `(n,)` long.
        values: `(n, L)` float16.
        touched: Which of them were written since the last `sync`, `(n,)` bool.
    """

    member: Tensor
    values: Tensor
    touched: Tensor


class MemberTable:
    """A distribution over the candidates for each member (a bag and an image in it), float16, on the CPU.

    A member that was never written has the uniform distribution over its candidates. The table grows with the members
    it meets; pages of members never written take no memory. It is no module: it goes into checkpoints by
    `state_dict`, which holds the written members alone, so that scoring a checkpoint needs no bags.
    """

    def __init__(self) -> None:
        self._values = torch.zeros(0, 0, dtype=torch.float16)  # (M, L); a row of zeros = never written
        self._touched = torch.zeros(0, dtype=torch.bool)  # (M,)

    def __len__(self) -> int:
        """Members that have room, M."""
        return len(self._values)

    def reserve(self, members: int, width: int) -> None:
        """Makes room.

        Args:
            members: Members, at least.
            width: Candidates of a bag, at least.
        """
        before, columns = self._values.shape
        if members <= before and width <= columns:
            return
        if members > before:
            members = max(members, before * 5 // 4)
        values = torch.zeros(max(members, before), max(width, columns), dtype=torch.float16)
        touched = torch.zeros(len(values), dtype=torch.bool)
        if before:
            written = torch.nonzero((self._values != 0).any(1)).flatten()  # pages never written stay free
            values[written, :columns] = self._values[written]
            touched[:before] = self._touched
        self._values, self._touched = values, touched

    def take(self, member: Tensor, candidates: Tensor) -> Tensor:
        """Entries of some members.

        Args:
            member: `(N,)` long; -1 = no member, which is as one never written.
            candidates: Class indices of each one's bag, `(N, L)` long, padded with -1 at the end.

        Returns:
            `(N, L)` float32 on the device of `candidates`; rows sum to 1, those without candidates to 0.
        """
        valid = candidates >= 0  # (N, L)
        uniform = valid / valid.sum(1, keepdim=True).clamp(min=1)  # (N, L)
        at, width = member.cpu(), candidates.shape[1]
        known = (at >= 0) & (at < len(self))  # (N,)
        found = torch.zeros(len(at), width)
        columns = min(width, self._values.shape[1])
        found[known, :columns] = self._values[at[known], :columns].float()
        found = found.to(candidates.device) * valid  # (N, L)
        total = found.sum(1, keepdim=True)  # (N, L) -> (N, 1)
        return torch.where(total > 0, found / total.clamp(min=1e-6), uniform)

    def written(self, member: Tensor) -> Tensor:
        """Which members have an entry of their own.

        Args:
            member: `(N,)` long; -1 = no member.

        Returns:
            `(N,)` bool, on the CPU.
        """
        at = member.cpu()
        found = (at >= 0) & (at < len(self))  # (N,)
        found[found.clone()] = (self._values[at[found]] != 0).any(1)
        return found

    def put(self, member: Tensor, values: Tensor) -> None:
        """Writes entries.

        Args:
            member: `(N,)` long, each at most once; -1 is passed over.
            values: `(N, L)`, not negative, without gradient.
        """
        at = member.cpu()
        kept = at >= 0  # (N,)
        if not bool(kept.any()):
            return
        at = at[kept]
        self.reserve(int(at.max()) + 1, values.shape[1])
        rows = torch.zeros(len(at), self._values.shape[1], dtype=torch.float16)
        rows[:, : values.shape[1]] = values.detach().cpu()[kept].half()
        self._values[at] = rows
        self._touched[at] = True

    def sync(self) -> None:
        """Gives each process what the others wrote since the last time; to be called by all at an epoch's end.

        Each bag is drawn by one process in an epoch, so no member is written by two.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            mine = torch.nonzero(self._touched).flatten()
            everyone: list[tuple[Tensor, Tensor] | None] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(everyone, (mine, self._values[mine]))
            for part in everyone:
                if part is not None and len(part[0]):
                    self.reserve(int(part[0].max()) + 1, part[1].shape[1])
                    self._values[part[0], : part[1].shape[1]] = part[1]
        self._touched.zero_()

    def state_dict(self) -> TableState:
        """What a checkpoint holds."""
        member = torch.nonzero((self._values != 0).any(1)).flatten()
        return {"member": member, "values": self._values[member], "touched": self._touched[member]}

    def load_state_dict(self, state: TableState) -> None:
        """Takes a checkpoint's entries, and forgets all others.

        Args:
            state: From `state_dict`.
        """
        self.__init__()  # type: ignore[misc]  # as new
        member, values = state["member"].cpu(), state["values"].cpu()
        if len(member):
            self.reserve(int(member.max()) + 1, values.shape[1])
            self._values[member] = values
            self._touched[member] = state["touched"].cpu()
