from dataclasses import replace

import numpy as np
import pytest

from tests.tracking.run_folders import make_result
from wsreid.data.manifest import Split
from wsreid.report.image_pool import ImagePool
from wsreid.report.ranked_lists import RankedList, ScoredQueries, query_sets
from wsreid.report.run_data import DataOfRuns
from wsreid.tracking.recorded_run import read_run


@pytest.fixture(scope="module")
def tested(trained):
    run = read_run(trained)
    return ScoredQueries(run.retrieval, DataOfRuns().of(run).module)


def test_marks_are_those_of_the_ranks(tested):
    """The identities of the manifest and the ranks of the matches say the same."""
    pool = ImagePool()
    (with_data,) = query_sets([tested], 200, pool)
    (without,) = query_sets([ScoredQueries(tested.result, None)], 200, pool)
    assert with_data.total == len(with_data.queries) == 8
    assert [each.marks for each in with_data.lists[0]] == [each.marks for each in without.lists[0]]
    assert {mark for each in with_data.lists[0] for mark in each.marks} == {"right", "wrong"}
    for shown, ranks in zip(with_data.lists[0], tested.result.ranks, strict=True):
        assert shown.first == ranks[0] + 1
        assert "right" not in shown.marks[: int(ranks[0])]
        assert shown.marks[int(ranks[0]) :][:1] in (("right",), ())


def test_queries_have_names_cameras_and_images(tested):
    pool = ImagePool()
    (found,) = query_sets([tested], 200, pool)
    manifest = tested.data.manifest
    assert [each.identity for each in found.queries] == [str(pid) for pid in manifest.pid[manifest.rows(Split.QUERY)]]
    assert {each.camera for each in found.queries} == {1, 2}
    assert {each.junk for each in found.queries} == {2}  # two gallery images of each identity and camera
    assert [pool.images[each.image].row for each in found.queries] == manifest.rows(Split.QUERY).tolist()
    assert {pool.images[each.image].place for each in found.queries} == {0}


def test_each_image_is_in_the_pool_once_at_its_best_place(tested):
    pool = ImagePool()
    turned = ScoredQueries(replace(tested.result, topk=tested.result.topk[:, ::-1]), tested.data)
    (found,) = query_sets([tested, turned], 200, pool)
    rows = [image.row for image in pool.images]
    assert len(rows) == len(set(rows))
    assert found.runs == (0, 1)
    assert [each.images for each in found.lists[0]] == [each.images[::-1] for each in found.lists[1]]
    for query, shown in enumerate(found.lists[0]):
        assert [pool.images[number].row for number in shown.images] == tested.result.topk[query].tolist()
    length = tested.result.topk.shape[1]
    for image in pool.images[8:]:
        both = np.nonzero(tested.result.topk == image.row)[1]
        assert image.place == min(both.min() + 1, length - both.max())


def test_runs_on_other_queries_are_another_set():
    first, second = make_result([[0], [1]]), make_result([[0], [1], [2]])
    sets = query_sets([ScoredQueries(first, None), None, ScoredQueries(second, None)], 2, ImagePool())
    assert [each.runs for each in sets] == [(0,), (2,)]
    assert [(each.total, len(each.queries)) for each in sets] == [(2, 2), (3, 2)]


def test_a_query_without_a_match_and_a_result_without_lists():
    (found,) = query_sets([ScoredQueries(make_result([[0, 2], []]), None)], 9, ImagePool())
    assert found.lists[0] == (RankedList(83.3, 1, (), ()), RankedList(None, None, (), ()))
    assert [each.image for each in found.queries] == [-1, -1]


def test_places_that_ties_leave_open_are_not_called_wrong():
    result = replace(make_result([[0, 2]]), topk=np.arange(4)[None])
    (found,) = query_sets([ScoredQueries(result, None)], 9, ImagePool())
    assert found.lists[0][0].marks == ("right", "wrong", "right", "wrong")
    result = replace(result, n_tied=1)  # with an even number of ties a rank is whole as well
    (found,) = query_sets([ScoredQueries(result, None)], 9, ImagePool())
    assert found.lists[0][0].marks == ("unknown",) * 4
    assert found.lists[0][0].images == (-1,) * 4


def test_junk_that_a_list_holds_is_marked(tested):
    """Lists leave it out; should one hold it, it is no hit."""
    manifest = tested.data.manifest
    query = int(tested.result.query_row[0])
    own = np.flatnonzero((manifest.pid == manifest.pid[query]) & (manifest.camera == manifest.camera[query]))
    own = own[own >= manifest.row_range(Split.GALLERY).start]
    topk = tested.result.topk.copy()
    topk[0, :2] = own[:2]
    (found,) = query_sets([ScoredQueries(replace(tested.result, topk=topk), tested.data)], 9, ImagePool())
    assert found.lists[0][0].marks[:2] == ("junk", "junk")
    definition = {**tested.result.definition, "junk": "identity -1 (no cameras)"}
    without = ScoredQueries(replace(tested.result, topk=topk, definition=definition), tested.data)
    (found,) = query_sets([without], 9, ImagePool())
    assert found.lists[0][0].marks[:2] == ("right", "right")
    assert found.queries[0].junk == 0
