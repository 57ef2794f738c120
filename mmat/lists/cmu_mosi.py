"""The label file of CMU-MOSI: which part of which video is an opinion, and its sentiment.

`CMU_MOSI_Opinion_Labels.csd` is HDF5, in the form of the CMU-MultimodalSDK:

    /Opinion Segment Labels/data/VIDEO/features    (n, 1): the sentiment, -3 (negative) to 3
    /Opinion Segment Labels/data/VIDEO/intervals   (n, 2): start and end in the video, seconds

It is an untrusted file: links of HDF5 to other files are not followed.
"""

import csv
import os
from collections.abc import Iterator, Mapping

import h5py
import numpy as np

from mmat.files import InputError, data_list, one_line
from mmat.labels import SENTIMENT
from mmat.lists.clip import Clip
from mmat.lists.formats import Dropped, inner_path, time_range
from mmat.lists.read import ReadList
from mmat.tables import WrongRow

ROOT = "Opinion Segment Labels"
MAX_SEGMENTS = 10_000  # of one video; a damaged file may promise more than fits in memory
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError)  # what h5py raises for it


def published_folds() -> dict[str, str]:
    """Return the split of each of CMU-MOSI's videos, as in the CMU-MultimodalSDK.

    >>> folds = published_folds()
    >>> [list(folds.values()).count(split) for split in ("train", "validation", "test")]
    [52, 10, 31]
    """
    with open(data_list("cmu_mosi", "folds.csv"), encoding="utf-8", newline="") as file:
        return {row["video_id"]: row["split"] for row in csv.DictReader(file)}


def read_csd(
    path: str | os.PathLike, folds: Mapping[str, str] | None = None, strict: bool = False
) -> ReadList:
    """Read CMU-MOSI's label file as a clip list: a clip is one segment of a video.

    Segment N (from 1) of a video is the clip `VIDEO_N` in the file `VIDEO.mp4`, which may have
    another suffix or lie in a subfolder (`mmat.media.find`). folds: the split of each video,
    default the published ones. strict: the first wrong segment is an error; else wrong segments
    are left out and listed in `dropped`: `line` is N, 0 for a whole video.
    Raises InputError for another kind of file, and where no segment can be used.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/labels.csd"
    >>> with h5py.File(path, "w") as file:
    ...     video = file.create_group(f"{ROOT}/data/tmZoasNr4rU")
    ...     video["features"], video["intervals"] = [[-1.5], [9.0]], [[0.5, 2.0], [2.0, 4.0]]
    >>> found = read_csd(path)
    >>> [(clip.id, clip.file, clip.end_seconds, clip.values, clip.split) for clip in found.clips]
    [('tmZoasNr4rU_1', 'tmZoasNr4rU.mp4', 2.0, (-1.5,), 'test')]
    >>> found.dropped[0].line, found.dropped[0].reason
    (2, 'the sentiment 9 is not between -3 and 3')
    """
    folds = published_folds() if folds is None else folds
    clips, dropped = [], []
    try:
        with open(path, "rb") as file, h5py.File(file, "r") as tree:
            for each in _segments(tree, folds):
                if isinstance(each, Clip):
                    clips.append(each)
                else:
                    video, number, reason = each
                    dropped.append(Dropped(f"{os.fspath(path)}:{video}", number, reason))
    except WrongRow as wrong:
        raise InputError(f"{path}: {wrong}") from None
    except _DAMAGED as error:
        why = getattr(error, "strerror", None) or "not an HDF5 file, or a damaged one"
        raise InputError(f"{path}: cannot read the label file: {why}") from error
    if dropped and (strict or not clips):
        raise InputError(dropped[0])
    if not clips:
        raise InputError(f"{path}: the label file names no segment")
    return ReadList(clips, SENTIMENT, tuple(dropped))


def _segments(tree: h5py.File, folds: Mapping[str, str]) -> Iterator[Clip | tuple[str, int, str]]:
    """Yield each segment's clip, or video, number and why it cannot be used."""
    data = _group(_group(tree, ROOT), "data")
    for video in data:
        try:
            if video not in folds:
                raise WrongRow("the video is in none of the folds")
            sentiments, intervals = _arrays(_group(data, video))
        except WrongRow as wrong:
            yield video, 0, str(wrong)
            continue
        for i, (sentiment, interval) in enumerate(zip(sentiments, intervals, strict=True)):
            try:
                yield _clip(video, i + 1, float(sentiment[0]), interval, folds[video])
            except WrongRow as wrong:
                yield video, i + 1, str(wrong)


def _clip(video: str, number: int, sentiment: float, interval: np.ndarray, split: str) -> Clip:
    task = SENTIMENT.task
    if not task.low <= sentiment <= task.high:
        between = f"between {task.low:g} and {task.high:g}"
        raise WrongRow(f"the sentiment {sentiment:g} is not {between}")
    start_seconds, end_seconds = time_range(*(repr(float(t)) for t in interval))
    return Clip(
        id=f"{video}_{number}",
        file=inner_path(f"{video}.mp4"),
        labels=SENTIMENT.names,
        values=(sentiment,),
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        split=split,
        source_group=video,
        video_id=video,
    )


def _arrays(video: h5py.Group) -> tuple[np.ndarray, np.ndarray]:
    """Return a video's sentiments float64 (n, 1) and intervals float64 (n, 2); raises WrongRow."""
    sentiments, intervals = (_array(video, *each) for each in (("features", 1), ("intervals", 2)))
    if len(sentiments) != len(intervals):
        raise WrongRow(f"{len(sentiments)} sentiments, but {len(intervals)} intervals")
    return sentiments, intervals


def _array(video: h5py.Group, name: str, n_columns: int) -> np.ndarray:
    dataset = _member(video, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise WrongRow(f"'{name}' is no array of this file")
    rows, *columns = dataset.shape or (0,)
    if columns != [n_columns] or dataset.dtype.kind not in "fiu" or rows > MAX_SEGMENTS:
        found = f"{dataset.dtype} {dataset.shape}"
        raise WrongRow(f"'{name}' is {found}, not numbers (n, {n_columns})")
    try:
        return dataset[()].astype(np.float64)
    except _DAMAGED as error:
        raise WrongRow(f"'{name}' is damaged: {one_line(error)}") from error


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    group = _member(parent, name)
    if not isinstance(group, h5py.Group):
        raise WrongRow(f"'{name}' is no group; is this CMU_MOSI_Opinion_Labels.csd?")
    return group


def _member(parent: h5py.Group, name: str) -> object:
    """Return a group's own member; raises WrongRow for a link and for a missing one."""
    link = parent.get(name, getlink=True)
    if link is None:
        held = ", ".join(map(repr, list(parent)[:4])) or "nothing"
        raise WrongRow(f"no '{name}' in it, but {held}; is this CMU_MOSI_Opinion_Labels.csd?")
    if not isinstance(link, h5py.HardLink):
        raise WrongRow(f"'{name}' is a link, which is not followed")
    return parent[name]
