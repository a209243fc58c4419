from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.sources.numbering import numbered


@given(st.sets(st.text(max_size=3) | st.integers(0, 999).map(str) | st.just("007")))
def test_gives_each_name_its_own_number(names):
    numbers, ordered = numbered(names)
    assert numbers.keys() == names
    assert len(set(numbers.values())) == len(names)
    if ordered is None:
        assert all(int(name) == number for name, number in numbers.items())
    else:
        assert all(ordered[number - 1] == name for name, number in numbers.items())
        assert list(ordered) == sorted(names)


def test_keeps_whole_numbers_unless_two_would_be_one():
    assert numbered({"12", "003"}) == ({"12": 12, "003": 3}, None)
    assert numbered({"3", "03"}) == ({"03": 1, "3": 2}, ("03", "3"))
