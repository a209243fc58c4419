"""The part of the base that remembers labels by member or by bag: into checkpoints, and across processes."""

import logging
from typing import Any, ClassVar

import lightning.pytorch as pl
from lightning.pytorch.trainer.states import TrainerFn

from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.methods.member_table import MemberTable

_log = logging.getLogger(__name__)


class RemembersBags(pl.LightningModule):
    """Keeps a method's tables; `Method` is built on it."""

    needs: ClassVar[Needs] = Needs()
    """What the method asks of the datamodule, and of this base."""

    table: MemberTable
    """With `needs.member_table`: a distribution over the candidates for each member, uniform until written."""

    def __init__(self) -> None:
        super().__init__()
        self._tables_of: str | None = None

    def tables(self) -> dict[str, MemberTable]:
        """What the method remembers by member or by bag, under the names that checkpoints have for it.

        The base saves and loads it, and brings the processes' parts together.
        """
        return {"member_table": self.table} if self.needs.member_table else {}

    def on_train_epoch_end(self) -> None:
        """Brings the processes' tables together."""
        self._sync_tables()

    def on_validation_start(self) -> None:
        """The same: a checkpoint of the best validation is written before the epoch's end."""
        self._sync_tables()

    def _sync_tables(self) -> None:
        for table in self.tables().values():
            table.sync()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the tables, and the hash of the bags that they speak of."""
        tables = self.tables()
        if tables:
            checkpoint.update({name: table.state_dict() for name, table in tables.items()})
            checkpoint["tables_of"] = self._bags_hash()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the tables.

        Raises:
            ConfigError: The run goes on with other bags: members are numbers in their bags.
        """
        self._tables_of = checkpoint.get("tables_of")
        for name, table in self.tables().items():
            if name in checkpoint:
                table.load_state_dict(checkpoint[name])
        if self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING:
            now = self._bags_hash()
            if None not in (now, self._tables_of) and now != self._tables_of:
                raise ConfigError(
                    f"{type(self).__name__} remembers labels by bag and image, and the checkpoint's bags (hash "
                    f"{self._tables_of}) are not these ({now}). Go on with the bags of that run, or start a new run "
                    "from its weights alone: --model.weights CHECKPOINT"
                )

    def forget_other_bags(self, bags_hash: str) -> None:
        """Forgets what a checkpoint remembers of other bags than these: the network alone then labels their images.

        Args:
            bags_hash: Hash of the bags at hand.
        """
        if self._tables_of not in (None, bags_hash):
            _log.warning(
                "the checkpoint remembers labels of other bags (hash %s, these are %s): they are left out, and images "
                "are labelled as if their bags were met for the first time",
                self._tables_of,
                bags_hash,
            )
            for table in self.tables().values():
                table.load_state_dict(MemberTable().state_dict())
            self._tables_of = bags_hash

    def _bags_hash(self) -> str | None:
        if self._trainer is None:
            return None
        hashes = getattr(getattr(self._trainer, "datamodule", None), "hashes", None)
        return None if hashes is None else str(hashes["bags"])
