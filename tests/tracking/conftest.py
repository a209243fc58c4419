import numpy as np
import pytest

from wsreid.retrieval import evaluate


@pytest.fixture
def result():
    """Three queries: identity 1 found at once, 2 late, 3 without a match; the rows of the gallery are 10..15."""
    query = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32)
    gallery = np.array([[1.0, 0.1], [0.1, 1.0], [0.2, 1.0], [1.0, 0.9], [1.0, 0.0]], np.float32)
    return evaluate(
        query,
        gallery,
        q_pid=np.array([1, 2, 3]),
        g_pid=np.array([1, 0, 0, 2, 0]),
        topk=4,
        query_row=np.array([0, 1, 2]),
        gallery_row=np.arange(10, 15),
    )
