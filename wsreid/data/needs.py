"""What a method needs from the datamodule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """What a method declares that it needs; the base of the methods hands it to the datamodule.

    Attributes:
        views: Augmented views of each image, the V of `BagBatch.images`.
        whole_bags: Batches should hold all images of a bag where `images_per_bag` allows it.
        shared_label_pairs: Batches hold pairs of bags that share a label, wherever there are any.
        member_table: The method keeps a table with one entry per member and candidate.
        epoch_pass: The method passes over the whole training set once per epoch.
        ema: The method keeps an exponential moving average of its weights.
        truth: The method reads the image-level identities; it is then an oracle and is shown as one.
        identity_batches: Batches of P identities x K images, drawn by the truth; needs `truth`.
    """

    views: int = 1
    whole_bags: bool = False
    shared_label_pairs: bool = False
    member_table: bool = False
    epoch_pass: bool = False
    ema: bool = False
    truth: bool = False
    identity_batches: bool = False

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")
        if self.identity_batches and not self.truth:
            raise ValueError("identity_batches draws by the truth: declare truth=True too")
