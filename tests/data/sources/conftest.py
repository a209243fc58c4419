from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

JPEG = cv2.imencode(".jpg", np.zeros((8, 4, 3), np.uint8))[1].tobytes()


@pytest.fixture
def put(tmp_path) -> Callable[..., None]:
    """Writes files below the test's folder: a valid JPEG unless other bytes are given."""

    def write(*files: str, data: bytes = JPEG) -> None:
        for file in files:
            path = Path(tmp_path, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return write
