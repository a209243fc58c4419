"""Market-1501 file names."""

import re
from typing import NamedTuple, Self

from wsreid.errors import DataError

_FORM = re.compile(r"(-1|\d{4,})_c(\d+)s(\d+)_(\d{6,})_(\d{2,})\.jpg")


class ImageName(NamedTuple):
    """One image's name; tuples sort by time within a camera's sequence.

    Attributes:
        camera: 1-based camera.
        sequence: 1-based sequence of that camera.
        frame: Frame within the sequence.
        box: 1-based box within the frame.
        pid: Identity; 0 distractor, -1 junk.
    """

    camera: int
    sequence: int
    frame: int
    box: int
    pid: int

    def __str__(self) -> str:
        pid = "-1" if self.pid < 0 else f"{self.pid:04d}"
        return f"{pid}_c{self.camera}s{self.sequence}_{self.frame:06d}_{self.box:02d}.jpg"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a file name.

        Args:
            text: Name without folders.

        Returns:
            Its parts.

        Raises:
            DataError: The name has another form.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise DataError(f"{text}: not a name like 0002_c1s1_000451_03.jpg")
        pid, camera, sequence, frame, box = (int(part) for part in found.groups())
        return cls(camera, sequence, frame, box, pid)
