"""An exported file of each format."""

import pytest

from wsreid.export.format_names import FORMATS


@pytest.fixture(
    # ONNX takes a quarter of a minute to write
    params=[pytest.param(kind, marks=pytest.mark.slow if kind == "onnx" else ()) for kind in FORMATS],
)
def exported(request, export_as):
    """The file, and what the command found."""
    return export_as(request.param)
