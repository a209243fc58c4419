"""What `python -m wsreid bags` says of bags: tables for the terminal, and the same for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.table import Table

from wsreid.data.bag_leak import Leak
from wsreid.data.bag_statistics import BagStatistics, Spread
from wsreid.data.bags import Bags
from wsreid.terminal import Console

_BAR = 40  # characters of a histogram's longest line


@dataclass(frozen=True, eq=False)
class Description:
    """What was found.

    Attributes:
        title: Which bags of which data set.
        bags: The bags.
        statistics: Their figures.
        leak: What their labels give away while they stay as they are.
        redrawn: The same if each epoch draws bags anew, by the number of epochs; empty where that cannot be.
        held_out: Identities held out for validation; None = not known.
    """

    title: str
    bags: Bags
    statistics: BagStatistics
    leak: Leak
    redrawn: Mapping[int, Leak]
    held_out: int | None


def about(found: Description) -> dict[str, object]:
    """A description as plain values; figures are shares in 0..1."""
    counted = asdict(found.statistics) | {"bags_per_image": found.statistics.bags_per_image}
    return {
        "format": "wsreid bag description 1",
        "title": found.title,
        "settings": asdict(found.bags.settings),
        "held_out_identities": found.held_out,
        "manifest_hash": found.bags.manifest_hash,
        "bags_hash": found.bags.hash,
        "statistics": counted,
        "leak": asdict(found.leak),
        "leak_of_redrawn_bags": {str(epochs): asdict(leak) for epochs, leak in found.redrawn.items()},
        "notes": _notes(found),
    }


def show(found: Description, console: Console) -> None:
    """Prints a description.

    Args:
        found: What was found.
        console: Where to.
    """
    counted = found.statistics
    table = _table(found.title, "", "min", "median", "mean", "max")
    spreads = {"images per bag": counted.images_per_bag, "candidates per bag": counted.candidates_per_bag}
    if counted.against is not None:
        spreads["identities per bag"] = counted.against.ids_per_bag
    for name, spread in (spreads | {"bags per identity": counted.bags_per_id}).items():
        table.add_row(name, *_spread(spread))
    table.add_row("bags per image", "", "", f"{counted.bags_per_image:,.2f}", f"{counted.most_bags:,}")
    console.print(table)
    for line in _counts(found):
        _say(console, line)
    for title, bins in (
        ("bags by images", counted.images_histogram),
        ("bags by candidates", counted.candidates_histogram),
    ):
        _say(console, f"\n{title}")
        for line in bars(bins):
            _say(console, line)
    _say(console, "\nwhat the candidate sets alone give away: the candidates that all bags of an image have in common")
    console.print(_leak_table(found))
    for line in _notes(found):
        _say(console, line)


def bars(bins: tuple[tuple[int, int, int], ...]) -> list[str]:
    """A histogram as lines of text; a step that is not empty has a bar."""
    most = max(count for _, _, count in bins)
    names = [f"{low:,}" if low == high else f"{low:,}-{high:,}" for low, high, _ in bins]
    width = max(map(len, names))
    digits = max(len(f"{count:,}") for _, _, count in bins)
    return [
        f"{name:>{width}}  {count:>{digits},}  {'█' * (-(-_BAR * count // most))}".rstrip()
        for name, (_, _, count) in zip(names, bins, strict=True)
    ]


def _counts(found: Description) -> list[str]:
    counted = found.statistics
    lines = [
        f"{counted.bags:,} bags, {counted.members:,} members, {counted.images:,} images; "
        f"the labels name {counted.named:,} identities"
        + (f", {found.held_out:,} are held out for validation." if found.held_out else ".")
    ]
    against = counted.against
    if against is None:
        lines.append(
            f"A random guess in the bag is right for {_percent(counted.guess)}, if the identity is a candidate."
        )
        return lines
    return [
        *lines,
        f"A random guess in the bag is right for {_percent(against.guess)} of the members.",
        f"The most frequent identity has {_percent(against.largest)} of a bag's images (mean). "
        f"The label lacks the identity of {_percent(against.uncovered)} of the members; "
        f"{_percent(against.absent)} of the candidates have no image in their bag.",
    ]


def _leak_table(found: Description) -> Table:
    table = _table(None, "", "one left", "it is right", "none left", "mean left")
    again = {f"re-drawn, {epochs} epochs": leak for epochs, leak in found.redrawn.items() if epochs > 1}
    for name, leak in {"kept as they are": found.leak, **again}.items():
        right = "not known" if leak.right is None else _percent(leak.right)
        table.add_row(name, _percent(leak.single), right, _percent(leak.empty), f"{leak.left:.3g}")
    return table


def _notes(found: Description) -> list[str]:
    settings = found.bags.settings
    if settings.protocol == "sysu":
        cause = "a bag of one folder names it alone, and " if 1 in settings.sysu_widths else ""
        said = f"sysu: {cause}all windows that hold a folder meet in that folder itself"
        whole = found.leak.single == 1.0
        built = ": 1 by construction" if whole else ", save for noise and the ends of the row of folders"
        return [f"{said}{built}. It gives away the folder, which is not clean truth of who is seen."]
    notes = [f"Bags that are drawn once and kept: {_given_away(found.leak)}."]
    again = {epochs: leak for epochs, leak in found.redrawn.items() if epochs > 1}
    if again:
        last, worst = max(again), max(again, key=lambda epochs: _share(again[epochs]))
        said = f"Bags drawn anew in each epoch (data.redraw_bags), after {last} epochs: {_given_away(again[last])}"
        more = _share(again[worst]) > _share(again[last])
        peak = f"; at most {_percent(_share(again[worst]))}, after {worst} epochs" if more else ""
        notes.append(f"{said}{peak}.")
    against = found.statistics.against
    if settings.protocol == "random" and against is not None and against.ids_per_bag.most < settings.ids_per_bag:
        notes.append(
            f"data.bags.ids_per_bag is {settings.ids_per_bag}, more than there are identities: no bag holds more than "
            f"{against.ids_per_bag.most}."
        )
    return notes


def _share(leak: Leak) -> float:
    """The images that the labels give away: rightly, where that is known."""
    return leak.single if leak.right is None else leak.right


def _given_away(leak: Leak) -> str:
    share = _share(leak)
    of = f"{_percent(share)} of the images" if share else "no image"
    said = f"their labels alone give away {'a single candidate' if leak.right is None else 'the identity'} of {of}"
    if leak.right is not None and leak.single > leak.right:
        said += f", leave a single but wrong candidate for {_percent(leak.single - leak.right)}"
    if leak.empty:
        said += f", contradict each other for {_percent(leak.empty)}"
    return said


def _table(title: str | None, *heads: str) -> Table:
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False, title_justify="left")
    for head in heads:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    return table


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False)


def _spread(spread: Spread) -> tuple[str, ...]:
    return f"{spread.least:,}", f"{spread.median:,g}", f"{spread.mean:,.2f}", f"{spread.most:,}"


def _percent(share: float) -> str:
    """In percent; what is neither none nor all never reads so."""
    text = f"{100 * share:.2f}"
    text = "< 0.01" if text == "0.00" and share > 0 else "> 99.99" if text == "100.00" and share < 1 else text
    return f"{text} %"
