"""What an exported file says about itself: how images are prepared, how the network is built, where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

from wsreid.errors import WeightsError

KEY: Final = "wsreid"
"""Under this key each format keeps it."""
WEIGHTS: Final = "hash of weights"
"""Under this name `Recipe.run` has the hash of the run's weights that `predict` knows them by."""


@dataclass(frozen=True)
class Recipe:
    """From an image to a feature.

    Attributes:
        height: Height that images are resized to, in pixels (OpenCV's bilinear interpolation, as in training).
        width: Width, in pixels.
        mean: Taken from each channel of RGB in 0..1.
        std: What each channel is then divided by.
        flip_test: Whether a feature is the sum over the image and its mirror image.
        feature_dim: Width D of a feature; it is not normalised, and similarity is the cosine.
        backbone: As `--model.backbone`.
        pooling: As `--model.pooling`.
        neck: As `--model.neck`.
        last_stride: As `--model.last_stride`.
        method: What the network was trained with.
        run: The run's experiment hash, hashes of its data and bags, versions; as `results.json` has them.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flip_test: bool
    feature_dim: int
    backbone: str
    pooling: str
    neck: str
    last_stride: int
    method: str
    run: Mapping[str, str]

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, origin: str) -> Recipe:
        """Reads it back.

        Args:
            text: What `to_json` wrote.
            origin: The file, for messages.

        Returns:
            The recipe.

        Raises:
            WeightsError: It is no recipe.
        """
        try:
            found = json.loads(text)
            known = {each.name for each in fields(cls)}
            recipe = cls(**{name: value for name, value in found.items() if name in known})
            checked = (recipe.height, recipe.width, recipe.feature_dim, recipe.last_stride)
            if any(not isinstance(value, int) or value < 1 for value in checked) or len(recipe.mean) != 3:
                raise ValueError(f"sizes {checked}")
        except (ValueError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{origin}: what it says about itself cannot be read ({error}). It was not written by "
                "`python -m wsreid export`, or by a newer version of it."
            ) from error
        return cls(**(asdict(recipe) | {"mean": tuple(recipe.mean), "std": tuple(recipe.std)}))
