"""The arguments of an evaluation, checked and in one form."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import FeatureError
from wsreid.retrieval.checks import check_features, check_ids
from wsreid.retrieval.features import Array, Features, FeatureTable
from wsreid.retrieval.group import Group, together
from wsreid.retrieval.junk import UNKNOWN, Ints


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is to be ranked.

    Attributes:
        query: Q rows.
        gallery: G rows; with several processes those of this one.
        q_pid: `(Q,)` int64.
        g_pid: `(G,)` int64.
        q_cam: `(Q,)` int64; -1 = unknown.
        g_cam: `(G,)` int64.
        cameras_known: Some queries and some gallery images have a camera.
        query_row: The caller's names of the queries, `(Q,)` int64.
        gallery_row: The caller's names of the gallery images, `(G,)` int64; different on each process.
        n_gallery: Gallery images on all processes.
        n_gallery_junk: Those of identity -1.
    """

    query: FeatureTable
    gallery: FeatureTable
    q_pid: Ints
    g_pid: Ints
    q_cam: Ints
    g_cam: Ints
    cameras_known: bool
    query_row: Ints
    gallery_row: Ints
    n_gallery: int
    n_gallery_junk: int


def check_inputs(
    query: Features,
    gallery: Features,
    q_pid: Array,
    g_pid: Array,
    q_cam: Array | None,
    g_cam: Array | None,
    query_row: Array | None,
    gallery_row: Array | None,
    device: torch.device | str | None,
    group: Group,
    options: str,
) -> Inputs:
    """Checks all arguments of `evaluate`; see there.

    Args:
        query: See `evaluate`.
        gallery: See `evaluate`.
        q_pid: See `evaluate`.
        g_pid: See `evaluate`.
        q_cam: See `evaluate`.
        g_cam: See `evaluate`.
        query_row: See `evaluate`.
        gallery_row: See `evaluate`.
        device: See `evaluate`.
        group: See `evaluate`.
        options: The other options in words, which must be the same on each process.

    Returns:
        The arguments in one form.

    Raises:
        FeatureError: Shapes, lengths or types do not fit, here or on another process; or the processes disagree about
            queries or options.
    """
    with together(group):
        check_features(query, "query")
        check_features(gallery, "gallery", may_be_empty=group.size > 1)
        if query.shape[1] != gallery.shape[1]:
            raise FeatureError(
                f"query features have {query.shape[1]} dimensions, gallery features {gallery.shape[1]}: "
                "they must come from the same model."
            )
        n_query, n_gallery = int(query.shape[0]), int(gallery.shape[0])
        q_ids = check_ids(q_pid, "q_pid", n_query, "query")
        g_ids = check_ids(g_pid, "g_pid", n_gallery, "gallery")
        q_cams, g_cams = _cameras(q_cam, g_cam, n_query, n_gallery)
        rows = np.arange(n_query) if query_row is None else check_ids(query_row, "query_row", n_query, "query")
        given = None if gallery_row is None else check_ids(gallery_row, "gallery_row", n_gallery, "gallery")
    where = _device(gallery, device)
    queries = FeatureTable(query, where)
    if group.size > 1:
        _require_same(queries, (q_ids, q_cams, rows), f"{options}, cameras {'no' if g_cam is None else 'yes'}", group)
    numbers = np.array([n_gallery, (g_ids == UNKNOWN).sum(), (g_cams != UNKNOWN).sum()], dtype=np.int64)
    each = group.gather(numbers[None])
    total = np.concatenate(each).sum(0)
    if total[0] == 0:
        raise FeatureError("gallery: no rows. An empty gallery cannot be scored; look at the split it was made from.")
    if given is None:
        given = np.arange(n_gallery) + sum(int(part[0, 0]) for part in each[: group.rank])
    return Inputs(
        query=queries,
        gallery=FeatureTable(gallery, where),
        q_pid=q_ids,
        g_pid=g_ids,
        q_cam=q_cams,
        g_cam=g_cams,
        cameras_known=bool((q_cams != UNKNOWN).any() and total[2]),
        query_row=rows.astype(np.int64),
        gallery_row=given.astype(np.int64),
        n_gallery=int(total[0]),
        n_gallery_junk=int(total[1]),
    )


def _require_same(queries: FeatureTable, columns: tuple[Ints, ...], options: str, group: Group) -> None:
    """Refuses processes that were not given the same queries and options: their counts would add up to nonsense."""
    names = ("queries", "query identities", "query cameras", "query rows", "options")
    content = [queries.slice(0, queries.rows).double().cpu().numpy().tobytes(), *(c.tobytes() for c in columns)]
    digests = [hashlib.blake2b(part, digest_size=16).digest() for part in [*content, options.encode()]]
    mine = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(names), -1)
    all_digests = np.stack(group.gather(mine))  # (processes, names, 16)
    differ = [name for name, each in zip(names, np.moveaxis(all_digests, 1, 0), strict=True) if (each != each[0]).any()]
    if differ:
        raise FeatureError(
            f"the processes differ in {', '.join(differ)}: with a group, each process gives the whole query and the "
            "same options, and its own part of the gallery."
        )


def _cameras(q_cam: Array | None, g_cam: Array | None, n_query: int, n_gallery: int) -> tuple[Ints, Ints]:
    if (q_cam is None) != (g_cam is None):
        given, missing = ("g_cam", "q_cam") if q_cam is None else ("q_cam", "g_cam")
        raise FeatureError(
            f"{given} is given but {missing} is not: the junk rule needs the cameras of both, or neither."
        )
    if q_cam is None or g_cam is None:
        return np.full(n_query, UNKNOWN), np.full(n_gallery, UNKNOWN)
    return check_ids(q_cam, "q_cam", n_query, "query"), check_ids(g_cam, "g_cam", n_gallery, "gallery")


def _device(gallery: Features, device: torch.device | str | None) -> torch.device:
    if device is None:
        device = gallery.device if isinstance(gallery, Tensor) else "cpu"
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device
