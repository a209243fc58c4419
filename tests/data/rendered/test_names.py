import pytest

from wsreid.data.rendered.names import ImageName
from wsreid.errors import DataError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (ImageName(1, 2, 451, 3, 2), "0002_c1s2_000451_03.jpg"),
        (ImageName(6, 1, 12, 1, -1), "-1_c6s1_000012_01.jpg"),
        (ImageName(3, 4, 24, 12, 0), "0000_c3s4_000024_12.jpg"),
    ],
)
def test_names_are_written_as_in_market_and_read_back(name, text):
    assert str(name) == text
    assert ImageName.parse(text) == name


def test_another_form_is_refused_by_name():
    with pytest.raises(DataError, match="holiday"):
        ImageName.parse("holiday.jpg")
