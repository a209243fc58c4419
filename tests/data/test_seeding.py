import numpy as np
import pytest

from wsreid.data.seeding import Substreams, scrambled, stream


def test_a_stream_has_one_purpose_and_key():
    draws = [stream(*key).random(4).tolist() for key in (("a", 0), ("a", 0), ("b", 0), ("a", 1), ("a", 1, 1))]
    assert draws[0] == draws[1]
    assert len({tuple(x) for x in draws}) == 4


def test_substreams_do_not_depend_on_what_was_drawn_before():
    streams = Substreams("a", 1, 2)
    first = streams[7].random(5).tolist()
    streams[3].integers(9, size=3, dtype=np.uint32)  # leaves half a number behind
    assert streams[7].random(5).tolist() == first == Substreams("a", 1, 2)[7].random(5).tolist()
    assert (
        streams[7].integers(9, size=6, dtype=np.uint32).tolist()
        == Substreams("a", 1, 2)[7].integers(9, size=6, dtype=np.uint32).tolist()
    )


def test_substreams_differ_and_look_random():
    streams = Substreams("a", 0)
    drawn = np.stack([streams[n].random(40) for n in range(500)])
    assert len(np.unique(drawn)) == drawn.size
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)  # sd 0.002
    assert np.abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.03  # neighbours; sd 0.007
    assert Substreams("b", 0)[0].random() != Substreams("a", 0)[0].random() != Substreams("a", 1)[0].random()


def test_substreams_are_stretches_of_philox():
    start = np.random.Philox(np.random.SeedSequence([449748069, 5]))  # crc32 of "bags"
    start.advance(9 * 2**64)
    assert Substreams("bags", 5)[9].random(3).tolist() == np.random.Generator(start).random(3).tolist()


def test_a_scrambled_number_does_not_depend_on_the_others():
    found = scrambled(np.array([5, 9, 2**40, 0]))
    assert found.dtype == np.uint64
    assert len(set(found.tolist())) == 4
    assert scrambled(np.array([[2**40], [5]])).tolist() == [[found[2]], [found[0]]]
    assert not (scrambled(np.array([5, 9, 2**40, 0]), seed=1) == found).any()
    assert 0.45 < (scrambled(np.arange(4000)) >> np.uint64(63)).mean() < 0.55  # consecutive numbers come out mixed
