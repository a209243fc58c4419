import pytest

from wsreid.tracking.query_table import COLUMNS, query_rows


def test_each_query_has_its_first_match_and_precision(result):
    rows = query_rows(result, [2, 0, 1], lambda row: f"image {row}")
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    assert [row["query"] for row in found] == ["image 2", "image 0", "image 1"]
    assert [row["row"] for row in found] == [2, 0, 1]
    assert [row["identity"] for row in found] == [3, 1, 2]
    assert found[0] == found[0] | dict.fromkeys(("first_match", "AP_step", "AP_trapezoid", "INP"), None)
    for row, query in ((found[1], 0), (found[2], 1)):
        assert row["first_match"] == result.ranks[query][0] + 1
        assert row["AP_step"] == pytest.approx(1 / (result.ranks[query][0] + 1))
        assert row["AP_step"] == result.per_query().ap_step[query]
        assert row["AP_trapezoid"] == result.per_query().ap_trapezoid[query]
        assert row["INP"] == result.per_query().inp[query]
