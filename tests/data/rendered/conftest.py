import pytest

from wsreid.data.rendered.dataset import write_rendered
from wsreid.data.rendered.settings import RenderSettings


@pytest.fixture(scope="session")
def small():
    return RenderSettings(seed=3, train_ids=6, test_ids=5, cameras=3, images_per_id=8, distractors=6, junk=4)


@pytest.fixture(scope="session")
def small_set(small, tmp_path_factory):
    root = tmp_path_factory.mktemp("rendered") / "set"
    write_rendered(root, small)
    return root
