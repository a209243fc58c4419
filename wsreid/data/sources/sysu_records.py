"""The images of SYSU-30k as `ImageRecords`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from wsreid.data.records import NO_CAMERAS, ImageRecords, Split
from wsreid.data.sources.sysu_evaluation import TestImage
from wsreid.data.sources.sysu_report import Report
from wsreid.data.sources.sysu_train import TrainRows


def sysu_records(train: TrainRows, tests: Mapping[Split, list[TestImage]], report: Report) -> ImageRecords:
    """Makes one row of each image; where there is a tar, rows name their files by position.

    Args:
        train: The training images.
        tests: The query and gallery images, each in their order.
        report: Gives the tars, the notes and the problems.
    """
    images = [*tests[Split.QUERY], *tests[Split.GALLERY]]
    at = {file: position for position, file in enumerate((*report.tars, *train.unpacked))}
    for image in images:
        at.setdefault(image.file, len(at))
    split = np.repeat(np.array(list(Split), np.int8), [len(train.number), *map(len, tests.values())])  # (N,)

    def column(
        known: NDArray[np.integer] | int, values: Iterable[int], dtype: type[np.signedinteger]
    ) -> NDArray[np.signedinteger]:
        first = np.full(len(train.number), known, dtype) if isinstance(known, int) else known
        return np.concatenate([first, np.fromiter(values, dtype, len(images))]).astype(dtype, copy=False)  # (N,)

    file = column(train.file, (at[image.file] for image in images), np.int32)
    camera = column(-1, (image.camera for image in images), np.int32)
    pid = column(-1, (image.pid for image in images), np.int32)
    classes = np.unique(train.number)
    notes = list(report.notes)
    if shared := len(np.intersect1d(classes, [image.pid for image in tests[Split.QUERY]])):
        notes.append(f"{shared} query identities are also training identities")
    if images and (camera < 0).all():
        notes.append(NO_CAMERAS)
    names = list(at)
    return ImageRecords(
        file=names if report.tars else [names[i] for i in file.tolist()],
        offset=column(train.offset, (image.offset for image in images), np.int64),
        size=column(train.size, (image.size for image in images), np.int64),
        camera=camera,
        sequence=column(train.number, itertools.repeat(-1, len(images)), np.int32),
        frame=column(-1, (image.frame for image in images), np.int64),
        split=split,
        pid=pid,
        identities=classes.astype(np.int64),
        notes=tuple(notes),
        problems=report.problems,
        unnamed_problems=report.problem_count - len(report.problems),
        file_index=file if report.tars else None,
    )
