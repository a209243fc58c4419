"""SYSU-30k (Wang et al., "Weakly Supervised Person Re-ID: Differentiable Graphical Learning and A New Benchmark")."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from wsreid.data.published import PUBLISHED, WHOLE, SplitCount, counted
from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.base import Source
from wsreid.data.sources.compared import compared
from wsreid.data.sources.file_list import FileList
from wsreid.data.sources.scan import Found, scan, subfolders
from wsreid.data.sources.sysu_evaluation import TestImage, TestSet
from wsreid.data.sources.sysu_layout import Layout, find_bag_labels, find_layout, find_list, train_folders
from wsreid.data.sources.sysu_records import sysu_records
from wsreid.data.sources.sysu_report import Report, bag_labels_note
from wsreid.data.sources.sysu_train import TrainRows, tar_folders, train_rows
from wsreid.data.tars.parallel import Refused, index_tars
from wsreid.errors import DataError

_LISTS: Final = {Split.TRAIN: "train.txt", Split.QUERY: "query.txt", Split.GALLERY: "gallery.txt"}


class SYSU30k(Source):
    """SYSU-30k: training folders 0000000001 and up, and a test set with query and gallery; in tars, unpacked, or mixed.

    A tar is read in place: its index is made once and kept in the cache folder. What is missing (a download that is
    not complete) is noted and no error, as long as there is any image. A training image's identity is not known, only
    its folder: it has pid -1 and its folder's number as sequence. The classes are the numbers of the training folders
    found. In the gallery, the images in the folder 0000others are distractors, pid 0. If train.txt, query.txt or
    gallery.txt is there, only the files that it lists are used.

    Args:
        check_files: Read the first bytes of each unpacked file, to find those that are no images before training
            starts; without, names and sizes alone are looked at, which matters for 29.6 million files. In a tar, first
            bytes are always looked at: they are on the way.
    """

    name: ClassVar[str] = "sysu30k"
    where: ClassVar[str] = (
        "Expected are the tars that the authors offer at github.com/wanggrun/SYSU-30k (sysu_train_set_all_part1.tar "
        "and up, sysu_test_set_all.tar), or what is in them: sysu_train_set_all/0000000001/... and "
        "sysu_test_set_all/query, .../gallery."
    )

    def __init__(self, check_files: bool = True) -> None:
        self.check_files = check_files

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"check_files": self.check_files}

    def bag_label_file(self, root: Path) -> Path | None:
        """The released bag_level_label.json; None if it is not there."""
        return find_bag_labels(root)

    def watched(self, root: Path) -> Iterable[Path]:
        """All folders of the three splits, the tars, the lists and the bag labels."""
        self.require_root(root)
        layout = find_layout(root, self.where)
        tops = [top for top in (layout.train, layout.query, layout.gallery) if top is not None]
        folders = [path for top in tops for path in (top, *subfolders(top))]
        files = [*(find_list(root, name) for name in _LISTS.values()), find_bag_labels(root)]
        return {*folders, *layout.tars, *(path for path in files if path is not None)}

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        self.require_root(root)
        layout = find_layout(root, self.where)
        report = Report(tar.relative_to(root).as_posix() for tar in layout.tars)
        train, tests = self._gather(layout, root, report)
        if not len(train.number) and not any(tests.values()):
            why = "; ".join((*report.notes, *map(str, report.problems[:3])))
            raise DataError(f"sysu30k: no image in {root}. {why} {self.where}")
        labels = find_bag_labels(root)
        here = np.unique(train.number).tolist()
        if labels is not None and (line := bag_labels_note(labels, PUBLISHED[self.name].bags, here)) is not None:
            report.note(line)
        records = sysu_records(train, tests, report)
        return compared(records, self.name, {**counted(records), WHOLE: SplitCount(len(records), None)})

    def _gather(self, layout: Layout, root: Path, report: Report) -> tuple[TrainRows, dict[Split, list[TestImage]]]:
        lists = {split: _file_list(root, split) for split in Split}
        test_set = TestSet(report)
        indexes, numbers = {}, {}
        for position, index in enumerate(index_tars(layout.tars)):
            if isinstance(index, Refused):
                report.problem(report.tars[position], f"cannot be used: {index.reason}")
                continue
            report.findings[position].merge(index.findings)
            numbers[position], tests = tar_folders(index, report.findings[position].add)
            indexes[position] = index
            if tests:
                test_set.add_tar(position, index)

        def scanned(folder: Path, split: Split = Split.TRAIN) -> tuple[str, list[Found]]:
            found, problems = scan(folder, root, recursive=True, open_files=self.check_files)
            listed = lists[split]
            files = pa.array([problem.file for problem in problems], pa.large_string())
            taken = [True] * len(files) if listed is None else listed.take(files)
            for problem in itertools.compress(problems, taken):
                report.problem(problem.file, problem.reason)
            return f"{folder.relative_to(root).as_posix()}/", found

        folders = {} if layout.train is None else train_folders(layout.train)
        train = train_rows(indexes, numbers, folders, scanned, lists[Split.TRAIN], report)
        if empty := len({*folders, *(n for found in numbers.values() for n in found)}) - len(np.unique(train.number)):
            report.note(f"{empty} training folders have no usable image and are no class")
        for split, folder in ((Split.QUERY, layout.query), (Split.GALLERY, layout.gallery)):
            if folder is not None:
                test_set.add_folder(split, *scanned(folder, split))
        images = {split: test_set.images(split, lists[split]) for split in (Split.QUERY, Split.GALLERY)}
        for listed in lists.values():
            if listed is not None and (lines := listed.differences()):
                report.note(lines)
        return train, images


def _file_list(root: Path, split: Split) -> FileList | None:
    path = find_list(root, _LISTS[split])
    return None if path is None else FileList(path, SYSU30k.name)
