"""What the scripts of a report's page read, images aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsreid.report.chart import Chart, NamedRun, as_json
from wsreid.report.labelled_bags import LabelledBag
from wsreid.report.ranked_lists import QuerySet


def page_data(
    named: Sequence[NamedRun],
    charts: Sequence[Chart],
    sets: Sequence[QuerySet],
    bags: Sequence[tuple[str, list[LabelledBag]]],
) -> dict[str, Any]:
    """Under short names, as there are tens of thousands of entries.

    Args:
        named: The runs.
        charts: The charts.
        sets: Ranked lists.
        bags: For each run why it has no bags, or its bags.

    Returns:
        Plain values.
    """
    return {
        "runs": [each.name for each in named],
        "charts": {chart.key: as_json(chart) for chart in charts if chart.choices},
        "querySets": [
            {
                "runs": each.runs,
                "total": each.total,
                "queries": [
                    {"n": q.number, "id": q.identity, "cam": q.camera, "img": q.image, "junk": q.junk}
                    for q in each.queries
                ],
                "lists": [
                    [
                        {
                            "ap": one.ap,
                            "first": one.first,
                            "hits": one.images,
                            "marks": "".join(m[0] for m in one.marks),
                        }
                        for one in of_run
                    ]
                    for of_run in each.lists
                ],
            }
            for each in sets
        ],
        "bags": [
            {
                "note": note,
                "bags": [
                    {
                        "id": bag.bag_id,
                        "size": bag.size,
                        "label": bag.candidates,
                        "images": [
                            {"img": i.image, "label": i.label, "share": i.share, "truth": i.truth} for i in bag.images
                        ],
                    }
                    for bag in of_run
                ],
            }
            for note, of_run in bags
        ],
    }
