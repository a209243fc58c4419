"""What the user chooses of Weights & Biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsreid.errors import ConfigError


@dataclass(frozen=True)
class WandbSettings:
    """Where Weights & Biases keeps the run, and what it gets beside the figures; see docs/wandb.md.

    Attributes:
        mode: `offline` writes files into the run folder, for `wandb sync` later; `online` needs an account and a
            network, and goes on offline without; `disabled` writes nothing.
        project: W&B project.
        entity: W&B user or team; None = the account's default.
        tags: Tags beside the data set's name, which is always one.
        table_rows: Queries in the table of each evaluation, the same for every method; 0 = no table.
        bags: Training bags in the picture of pseudo labels, the same for every method; 0 = no picture.
        bags_every_n_epochs: Epochs from one such picture to the next; the first and the last epoch have one too.
        embeddings: Test images in the table for W&B's embedding projector; 0 = no table.
        activation_maps: Queries in the picture of where the network looks; 0 = no picture.
        artifacts: Log the last and best checkpoint and the bag file as artifacts when the fit ends.
        finish_timeout: Seconds that the end of an online run waits for what is not yet sent, which then stays on disk
            for `wandb sync`.

    Raises:
        ConfigError: A number is out of its range.
    """

    mode: Literal["offline", "online", "disabled"] = "disabled"
    project: str = "wsreid"
    entity: str | None = None
    tags: tuple[str, ...] = ()
    table_rows: int = 100
    bags: int = 4
    bags_every_n_epochs: int = 10
    embeddings: int = 0
    activation_maps: int = 0
    artifacts: bool = False
    finish_timeout: float = 600.0

    def __post_init__(self) -> None:
        for name, least in (
            ("table_rows", 0),
            ("bags", 0),
            ("bags_every_n_epochs", 1),
            ("embeddings", 0),
            ("activation_maps", 0),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"wandb.{name} must be at least {least}, got {getattr(self, name)}")
        if not self.finish_timeout > 0:
            raise ConfigError(f"wandb.finish_timeout must be above 0 seconds, got {self.finish_timeout}")
