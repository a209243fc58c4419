import numpy as np
import pytest

from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.sampled_recall import sampled_recall
from wsreid.retrieval.search_settings import SearchSettings

from .oracle import scores
from .problems import make_problem

POOR = SearchSettings("ivf", nlist=32, nprobe=2, refine=1)


@pytest.fixture(scope="module")
def gallery():
    return make_problem(4, queries=5, images=250, width=16, ids=30).gallery


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_it_is_the_share_of_the_neighbours_that_are_found_the_image_itself_aside(metric, gallery):
    with SearchIndex.build(gallery, metric, POOR) as index:
        recall, images = sampled_recall(index, 5)
        sample = np.unique(np.linspace(0, 249, 100).round().astype(int))
        found = index.search(gallery[sample], 11)[1]
    exact = np.argsort(-scores(gallery[sample], gallery, metric), axis=1, kind="stable")
    shares = []
    for row, mine, best in zip(sample, found, exact, strict=True):
        wanted = [j for j in best if j != row][:5]
        # the lists of 6 proposed images hold the image itself, save under dot, where others may beat it
        listed = [j for j in mine[:6] if j != row][:5]
        shares.append(len(set(listed) & set(wanted)) / 5)
    assert images == 100
    assert recall == pytest.approx(np.mean(shares))
    assert 0.1 < recall < 0.95


def test_an_index_that_looks_everywhere_finds_all_and_tells_how_far_it_is(gallery):
    told = []
    with SearchIndex.build(gallery, "cosine", SearchSettings("ivf", nlist=4, nprobe=4)) as index:
        assert sampled_recall(index, watch=lambda *step: told.append(step)) == (1.0, 100)
    assert told[-1] == ("searching exactly, for the recall", 250, 250)


def test_equal_images_and_a_gallery_of_one_are_no_misses(gallery):
    for some in (np.repeat(gallery[:1], 40, axis=0), gallery[:1]):
        with SearchIndex.build(some, "cosine", SearchSettings("ivf", nlist=1)) as index:
            assert sampled_recall(index) == (1.0, len(some))


def test_without_the_gallery_there_is_nothing_to_compare_with(gallery, tmp_path):
    SearchIndex.build(gallery, "cosine", POOR).save(tmp_path / "i")
    with pytest.raises(ValueError, match="load the index with it"):
        sampled_recall(SearchIndex.load(tmp_path / "i"))
