"""The evaluation protocols of the public data sets, as values."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from wsreid.errors import ConfigError
from wsreid.retrieval.junk import junk_rule

Unmatched = Literal["left_out", "missed"]
Headline = Literal["R1", "mAP_step", "mAP_trapezoid", "mINP"]


@dataclass(frozen=True)
class ExpectedCounts:
    """How many images the published test split has.

    Attributes:
        query: Number of queries.
        gallery: Number of gallery images; either of the two if there are two.
        raw_gallery: The gallery with the images of identity -1, where some programs keep them; None = the same.
    """

    query: int
    gallery: int
    raw_gallery: int | None = None


@dataclass(frozen=True)
class Protocol:
    """What a data set's authors count, and how.

    Attributes:
        name: As options and results name it.
        same_camera_is_junk: Gallery images of the query's identity and camera are removed before ranks are counted.
            Then cameras must be known.
        unmatched: A query without a match is `left_out` of the averages (torchreid, fast-reid), or counts as `missed`
            (the official SYSU-30k script, which divides by all queries).
        headline: The figure that papers on this data set compare; its name also says which average precision.
        single_shot: The CMC curve is of galleries that hold one image an identity, drawn `repeats` times; average
            precisions and mINP are of the full gallery.
        repeats: Number of draws.
        expected: Size of the published test split; None = not one.
    """

    name: str
    same_camera_is_junk: bool = True
    unmatched: Unmatched = "left_out"
    headline: Headline = "mAP_step"
    single_shot: bool = False
    repeats: int = 10
    expected: ExpectedCounts | None = None

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has no meaning.
        """
        if not self.name:
            raise ConfigError("a protocol needs a name: results are labelled with it.")
        for field, value, known in (
            ("unmatched", self.unmatched, get_args(Unmatched)),
            ("headline", self.headline, get_args(Headline)),
        ):
            if value not in known:
                raise ConfigError(f"protocol {self.name}: {field}={value!r}, expected one of {', '.join(known)}.")
        if self.repeats < 1:
            raise ConfigError(f"protocol {self.name}: repeats={self.repeats}, expected at least 1.")

    def definition(self) -> dict[str, str | int]:
        """The protocol's part of a result's definition; with single shot the caller adds the seed."""
        terms: dict[str, str | int] = {
            "protocol": self.name,
            "junk": junk_rule(self.same_camera_is_junk),
            "unmatched": self.unmatched,
            "headline": self.headline,
        }
        if self.single_shot:
            terms["cmc"] = "single shot: galleries of one image an identity"
            terms["repeats"] = self.repeats
        return terms

    def count_note(self, n_query: int, n_gallery: int) -> str | None:
        """A sentence for figures that are not of the published split.

        Args:
            n_query: Queries at hand.
            n_gallery: Gallery images at hand.

        Returns:
            What differs; None where nothing does, or nothing is known.
        """
        e = self.expected
        if e is None or (n_query == e.query and n_gallery in (e.gallery, e.raw_gallery)):
            return None
        raw = "" if e.raw_gallery is None else f" ({e.raw_gallery:,} with those of identity -1)"
        return (
            f"The published split of {self.name} has {e.query:,} queries and {e.gallery:,} gallery images{raw}, these "
            f"are {n_query:,} and {n_gallery:,}: the figures do not compare with published ones."
        )


MARKET1501 = Protocol("market1501", expected=ExpectedCounts(3_368, 15_913, raw_gallery=19_732))
SYSU30K = Protocol("sysu30k", unmatched="missed", headline="R1", expected=ExpectedCounts(1_000, 479_730))
MSMT17 = Protocol("msmt17", expected=ExpectedCounts(11_659, 82_161))
CUHK03_CLASSIC = Protocol("cuhk03_classic", headline="R1", single_shot=True)
CUHK03_NP = Protocol("cuhk03_np")
NO_CAMERA = Protocol("none", same_camera_is_junk=False)

PROTOCOLS = {p.name: p for p in (MARKET1501, SYSU30K, MSMT17, CUHK03_CLASSIC, CUHK03_NP, NO_CAMERA)}


def protocol_named(name: str | Protocol) -> Protocol:
    """Finds a protocol.

    Args:
        name: One of `PROTOCOLS`, or a protocol, which is returned as it is.

    Returns:
        The protocol.

    Raises:
        ConfigError: There is none of this name.
    """
    if isinstance(name, Protocol):
        return name
    if not isinstance(name, str):
        raise ConfigError(f"protocol={name!r}: expected a Protocol, or one of {', '.join(PROTOCOLS)}.")
    if name not in PROTOCOLS:
        near = get_close_matches(name, PROTOCOLS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"protocol={name!r}: expected one of {', '.join(PROTOCOLS)}.{hint}")
    return PROTOCOLS[name]


def chosen_protocol(asked: str | Protocol | None, *, cameras_known: bool) -> Protocol:
    """The protocol of an evaluation.

    Args:
        asked: The caller's wish; None = `market1501` with cameras, `none` without.
        cameras_known: Some queries and some gallery images have a camera.

    Returns:
        The protocol.

    Raises:
        ConfigError: There is no such protocol, or it needs cameras and there are none.
    """
    if asked is None:
        return MARKET1501 if cameras_known else NO_CAMERA
    protocol = protocol_named(asked)
    if protocol.same_camera_is_junk and not cameras_known:
        raise ConfigError(
            f"protocol {protocol.name} removes images of the query's own camera, but no cameras are known. "
            "Give the cameras of query and gallery, or ask for protocol 'none'."
        )
    return protocol
