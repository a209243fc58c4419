import faiss
import pytest

from wsreid.errors import ConfigError
from wsreid.retrieval.search_settings import SearchSettings, search_settings


@pytest.mark.parametrize("kind", ["ivf", "pq", "hnsw"])
@pytest.mark.parametrize("rows", [2, 3, 40, 1000, 479_730, 5_000_000])
@pytest.mark.parametrize("width", [1, 7, 9, 256, 2048])
def test_defaults_fit_every_gallery(kind, rows, width):
    settings = SearchSettings(kind)
    index = faiss.index_factory(width, settings.factory(rows, width))
    assert index.d == width
    assert 1 <= settings.probes(rows) <= settings.cells(rows) <= rows
    if kind == "pq":
        assert 2 ** settings.code_bits(rows) <= rows


def test_strings_of_sysu_size():
    assert SearchSettings("ivf").factory(479_730, 2048) == "IVF1024,SQfp16"
    assert SearchSettings("pq").factory(479_730, 2048) == "IVF1024,PQ64x8"
    assert SearchSettings("pq", nlist=16, m=4, bits=5).factory(479_730, 2048) == "IVF16,PQ4x5"
    assert SearchSettings("hnsw", links=8).factory(479_730, 2048) == "HNSW8,SQfp16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "lsh"}, "expected one of exact, ivf, pq, hnsw"),
        ({"nprobe": 0}, "nprobe=0"),
        ({"refine": 0}, "refine=0"),
        ({"bits": 9}, "bits=9"),
        ({"links": 1}, "links=1"),
        ({"kind": "hnsw", "gpu": True}, "no hnsw on the GPU"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        SearchSettings(**options)


def test_settings_that_do_not_fit_the_gallery_are_refused():
    with pytest.raises(ConfigError, match="m=5 does not divide the features' dimension 64"):
        SearchSettings("pq", m=5).factory(1000, 64)
    with pytest.raises(ConfigError, match="bits=8 needs 256 gallery images, there are 100"):
        SearchSettings("pq", bits=8).factory(100, 64)
    with pytest.raises(ConfigError, match="at least 2 gallery images"):
        SearchSettings("pq").factory(1, 64)


def test_a_name_stands_for_its_kind():
    assert search_settings("pq") == SearchSettings("pq")
    assert search_settings(SearchSettings("ivf", nlist=3)).nlist == 3
    with pytest.raises(ConfigError, match="'flat'"):
        search_settings("flat")


def test_exact_search_has_no_factory():
    with pytest.raises(ConfigError, match="exact search needs no index"):
        SearchSettings().factory(1000, 64)
