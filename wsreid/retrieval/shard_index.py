"""What a folder of feature shards says of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from wsreid.errors import FeatureError

INDEX_FILE: Final = "index.json"
FORMAT: Final = 1


@dataclass(frozen=True)
class ShardIndex:
    """The index of a folder of shards.

    Attributes:
        images: How many images are to be in it when it is done.
        origin: What the features depend on, such as the hashes of weights and data; all shards have it in common.
        complete: Whether all images are in it but those that are `missing`.
        missing: Rows whose images could not be read.
    """

    images: int
    origin: Mapping[str, str]
    complete: bool = False
    missing: tuple[int, ...] = ()

    def write(self, folder: Path) -> None:
        """Writes the index; the file appears whole or not at all.

        Args:
            folder: The folder of the shards.
        """
        path = folder / INDEX_FILE
        temporary = path.with_name(f".{INDEX_FILE}.{os.getpid()}.part")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, **asdict(self)}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> ShardIndex:
        """Reads the index of a folder.

        Args:
            folder: The folder of the shards.

        Returns:
            The index.

        Raises:
            FeatureError: There is none, or it is damaged.
        """
        path = folder / INDEX_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise FeatureError(f"{path}: an index of format {found['format']}; this version reads {FORMAT}.")
            return cls(
                images=int(found["images"]),
                origin={str(key): str(value) for key, value in found["origin"].items()},
                complete=bool(found["complete"]),
                missing=tuple(int(row) for row in found["missing"]),
            )
        except FileNotFoundError:
            inside = [side for side in ("query", "gallery") if (folder / side / INDEX_FILE).is_file()]
            remedy = f"Name {' or '.join(str(folder / side) for side in inside)}." if inside else "Name another folder."
            raise FeatureError(f"{folder} is no folder of features: it holds no {INDEX_FILE}. {remedy}") from None
        except FeatureError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise FeatureError(f"{path} cannot be read ({error}). Remove {folder} and predict again.") from error
