"""Clip lists of every kind as one list of clips, and the label sets that belong to them.

The kind of a file is detected from its content:
- DCASE 2017 task 4: `video,start,end,"names","machine ids"`; the names are not read;
- AudioSet: `#` lines, then `video, start, end, "machine ids"`;
- weak truth (tabs): `VIDEO_START_END.wav, start, end, label`, a row a label;
- strong truth, and lists as sed_eval reads them (with the header `filename onset offset
  event_label` or without): times from the beginning of the clip, `0 0` for not audible, a file's
  name alone for a clip without an event;
- AudioSet's strong labels: `segment_id start_time_seconds end_time_seconds label`, where an id is
  `VIDEO_MILLISECONDS` of a segment of 10 s and a label is a machine id;
- a user's own CSV: `file,labels[,id,start_seconds,end_seconds,split,source_group,video_id]`,
  several labels by `;` or in several rows; with a label set of a regression `name=value`;
- DCASE's weak lists since 2018: `filename event_labels`, several labels by commas;
- tables of Raven, Kaleidoscope, BirdNET-Analyzer, Audacity and R: `mmat.annotations`.

Cells are parted by tabs, commas or semicolons. A row is one line, so no cell holds a line break; it
becomes a `Clip` at once and stays one up to the shards.
"""

import contextlib
import dataclasses
import functools
import gc
import os
import pathlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mmat.files import InputError, cache_folder, data_list
from mmat.labels import LabelSet, look_alikes
from mmat.lists.clip import Clip, table_of
from mmat.lists.formats import (
    AUDIOSET,
    DCASE,
    MACHINE_IDS,
    OWN,
    SEGMENT_CELLS,
    WEAK,
    Dropped,
    Form,
    ListFile,
    detect,
    open_list,
)
from mmat.lists.own import SPLIT_NAME, read_own
from mmat.lists.public import attach_events, read_segments, read_truth
from mmat.tables import MAX_SECONDS, numbered_lines, open_table, row_or_none

if TYPE_CHECKING:
    import pandas as pd

AUDIOSET_FILE = "class_labels_indices.csv"
AUDIOSET_NAMES_FILE = "mid_to_display_name.tsv"  # of the strong labels, without a header
_WITH_AUDIOSETS_NAMES = ("sounds", "mini", "dcase2017")  # the sets of `data_lists/`
SHOWN_LOOK_ALIKES = 5
NAMED_LABEL_SETS = ("dcase2017", "audioset")
# The split of a public list, by the first of these that its file's name holds.
_SPLITS = (
    ("evaluation", "evaluation"),
    ("testing", "test"),
    ("eval_segments", "test"),
    ("eval_strong", "test"),
    ("train", "train"),
)
_NAME_AND_VALUE = re.compile(r"[^=]+=\s*[-+]?[\d.,]+(e[-+]?\d+)?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, eq=False)
class ReadList:
    """What was read from a list: its clips, its label set, and its wrong rows."""

    clips: list[Clip]
    labels: LabelSet
    dropped: tuple[Dropped, ...] = ()

    @functools.cached_property
    def table(self) -> "pd.DataFrame":
        """The clips as a pandas table, a row a clip; see `table_of`."""
        return table_of(self.clips)


def read_list(
    path: str | os.PathLike,
    labels: LabelSet | None = None,
    events: str | os.PathLike | None = None,
    split: str | None = None,
    strict: bool = False,
    max_seconds: float = MAX_SECONDS,
    media: str | os.PathLike | None = None,
) -> ReadList:
    """Read a clip list of any known kind.

    labels: default DCASE's 17 or AudioSet's 527 for their lists, else the names that occur, sorted.
    events: a list of strong times (TSV: filename, onset, offset, event_label). split: that of
    every clip, default that of the list or of its name. strict: the first wrong row is an error;
    else wrong rows are left out and listed in `dropped`. max_seconds: a row with a later time is
    wrong. media: the folder in which the files of a label tool's absolute paths are looked for, by
    the paths' ends (`mmat.annotations`). Warns of labels that look alike, and of machine ids that
    have no name here.
    Raises InputError with file, line and reason; also where no row can be used.

    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "list.csv"
    >>> _ = path.write_text("file,labels\\na/rex.mp4,Dog;Train horn\\n../b.mp4,Dog\\n")
    >>> found = read_list(path)
    >>> [(clip.id, clip.labels, clip.split) for clip in found.clips]
    [('a/rex', ('Dog', 'Train horn'), 'train')]
    >>> found.labels.names, found.dropped[0].line
    (('Dog', 'Train horn'), 3)
    """
    return read_lists([path], labels, events, split, strict, max_seconds, media)


def read_lists(
    paths: Sequence[str | os.PathLike],
    labels: LabelSet | None = None,
    events: str | os.PathLike | None = None,
    split: str | None = None,
    strict: bool = False,
    max_seconds: float = MAX_SECONDS,
    media: str | os.PathLike | None = None,
) -> ReadList:
    """Read several lists as one, as `read_list` does; a clip that an earlier list has is dropped.

    Raises InputError also where the lists' own label sets differ.
    """
    if split is not None and not SPLIT_NAME.fullmatch(split):
        raise InputError(f"split {split!r}: it may hold letters, digits and _ only")
    parts = [_read_part(path, labels, split, max_seconds, media) for path in paths]
    labels = labels or _common_labels(parts)
    warn_of_look_alikes(paths[0], labels)
    dropped = [each for part in parts for each in part.dropped]
    clips = _joined(parts, dropped)
    if events is not None:
        ids = MachineIds(events, labels)
        with open_list(events, max_seconds) as source:
            attach_events(source, detect(source), clips, ids.name)
        ids.warn()
        dropped += sorted(source.dropped, key=lambda each: each.line)
    if strict and dropped:
        raise InputError(dropped[0])
    return ReadList(clips, labels, tuple(dropped))


def named_label_set(name: str | os.PathLike) -> LabelSet:
    """Return the label set `dcase2017` or `audioset`, or that of a CSV file.

    Raises InputError where it cannot be read, and where AudioSet's was not fetched yet.

    >>> labels = named_label_set("dcase2017")
    >>> len(labels), labels.names[-1], labels.mids[-1]
    (17, 'Train', '/m/07jdr')
    """
    if name == "dcase2017":
        return LabelSet.from_csv(data_list("dcase2017", "labels.csv"))
    if name == "audioset":
        path = _fetched_audioset()
        if not path.is_file():
            raise InputError(f"{path}: AudioSet's labels are not there; run `mmat fetch audioset`")
        return LabelSet.from_csv(path)
    return LabelSet.from_csv(name)


def audioset_is_fetched() -> bool:
    """Return whether AudioSet's 527 labels were fetched."""
    return _fetched_audioset().is_file()


def _fetched_audioset() -> pathlib.Path:
    return cache_folder() / "lists" / "audioset" / AUDIOSET_FILE


def public_label_set(path: str | os.PathLike, kind: str) -> LabelSet:
    """Return a public list's label set; AudioSet's from beside the list, else the fetched one."""
    if kind != AUDIOSET:
        return named_label_set("dcase2017")
    beside = pathlib.Path(path).with_name(AUDIOSET_FILE)
    return named_label_set(beside if beside.is_file() else "audioset")


def warn_of_look_alikes(where: str | os.PathLike, labels: LabelSet) -> None:
    """Warn of labels that are easily taken for one another; where: the list that has them."""
    found = look_alikes(labels.names)
    for sentence in found[:SHOWN_LOOK_ALIKES]:
        warnings.warn(f"{where}: {sentence}", stacklevel=3)
    if found[SHOWN_LOOK_ALIKES:]:
        more = len(found) - SHOWN_LOOK_ALIKES
        warnings.warn(f"{where}: and {more} more labels that look alike", stacklevel=3)


class MachineIds:
    """Gives the names of labels that are machine ids, and keeps those that have none.

    The names are those of `labels`, else those beside the file, else those fetched, else those of
    the label sets that come with mmat.

    >>> ids = MachineIds("audioset_eval_strong.tsv")
    >>> ids.name("/m/07jdr"), ids.name("Dog"), ids.name("/m/none"), list(ids.unknown)
    ('Train', 'Dog', '/m/none', ['/m/none'])
    """

    def __init__(self, path: str | os.PathLike, labels: LabelSet | None = None):
        self._path, self._labels = pathlib.Path(path), labels
        self.unknown: dict[str, None] = {}

    def name(self, label: str) -> str:
        """Return the name of a machine id; another label, and an unknown id, stays as it is."""
        if not MACHINE_IDS.fullmatch(label):
            return label
        if label not in self._names:
            self.unknown[label] = None
        return self._names.get(label, label)

    def warn(self) -> None:
        """Warn if there were machine ids that have no name."""
        if self.unknown:
            warnings.warn(
                f"{self._path}: {len(self.unknown)} machine ids, first {next(iter(self.unknown))}, "
                f"have no name here and stay as they are; run `mmat fetch audioset`, or put "
                f"AudioSet's {AUDIOSET_NAMES_FILE} beside the list",
                stacklevel=2,
            )

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        sets = [data_list(name, "labels.csv") for name in _WITH_AUDIOSETS_NAMES]
        sets.append(_fetched_audioset())
        sets.append(self._path.with_name(AUDIOSET_FILE))
        found = [LabelSet.from_csv(path) for path in sets if path.is_file()]
        names = {mid: name for each in found for mid, name in each.names_by_mid().items()}
        beside = self._path.with_name(AUDIOSET_NAMES_FILE)
        if beside.is_file():
            with open_table(beside, "names") as file:
                rows = (row_or_none(line, "\t") for _, line in numbered_lines(beside, file))
                names |= {row[0]: row[1] for row in rows if len(row) == 2}
        return names | (self._labels.names_by_mid() if self._labels else {})


class _Part(NamedTuple):
    """One file's clips with their lines.

    of_its_own: its label set is the names in its rows, None where no row names one.
    """

    path: str | os.PathLike
    clips: list[Clip]
    lines: list[int]
    labels: LabelSet | None
    of_its_own: bool
    dropped: list[Dropped]


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause Python's search for cycles: reading makes none, and the search takes a fifth of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_collector_paused()
def _read_part(
    path: str | os.PathLike,
    labels: LabelSet | None,
    split: str | None,
    max_seconds: float,
    media: str | os.PathLike | None,
) -> _Part:
    with open_list(path, max_seconds) as source:
        form = detect(source)
        of_segments = form.of_segments and not form.of_audioset
        public = form.kind in (DCASE, AUDIOSET, WEAK) or of_segments
        if labels is None and public:
            labels = public_label_set(path, form.kind)
        clips, lines = _read(source, form, labels, split, media)
    dropped = sorted(source.dropped, key=lambda each: each.line)
    if not clips:
        if not dropped:
            raise InputError(f"{path}: the list is empty; it needs a row for each clip")
        rest = f" (nor can the other {len(dropped) - 1} rows be used)" if dropped[1:] else ""
        raise InputError(f"{dropped[0]}{rest}")
    of_its_own = labels is None
    return _Part(path, clips, lines, labels or _names_in(path, clips), of_its_own, dropped)


def _read(
    source: ListFile,
    form: Form,
    labels: LabelSet | None,
    split: str | None,
    media: str | os.PathLike | None,
) -> tuple[list[Clip], list[int]]:
    """Return the clips of a list of that form, and the line in which each first occurs."""
    if form.kind in SEGMENT_CELLS:
        n_cells = SEGMENT_CELLS[form.kind]
        return read_segments(source, form, n_cells, labels, split or _split_of(source))
    if form.kind == OWN:
        return read_own(source, form, labels, split)
    known = None if labels is None else frozenset(labels.names)
    ids = MachineIds(source.path, labels)
    is_file = None if media is None else lambda file: os.path.isfile(os.path.join(media, file))
    found = read_truth(source, form, known, split or _split_of(source), ids.name, is_file)
    if labels is None:
        ids.warn()
    return found


def _split_of(source: ListFile) -> str:
    name = pathlib.PurePath(source.path).name
    return next((split for part, split in _SPLITS if part in name), "train")


def _names_in(path: str | os.PathLike, clips: list[Clip]) -> LabelSet | None:
    names = sorted({name for clip in clips for name in clip.labels})
    if not names:
        return None
    if all(map(_NAME_AND_VALUE.fullmatch, names)):
        raise InputError(
            f"{path}: its labels are values such as {names[0]!r}; give a label set whose column "
            "task is 'regression LOW HIGH'"
        )
    return LabelSet.of(names)


def _common_labels(parts: list[_Part]) -> LabelSet:
    parts = [part for part in parts if part.labels is not None] or parts
    if parts[0].labels is None:
        raise InputError(f"{parts[0].path}: no row names a label; give a label set")
    if all(part.of_its_own for part in parts):
        return LabelSet.of(sorted({name for part in parts for name in part.labels.names}))
    for part in parts[1:]:
        if part.labels != parts[0].labels:
            raise InputError(
                f"{part.path}: its labels are not those of {parts[0].path}; give one label set for "
                "both"
            )
    return parts[0].labels


def _joined(parts: list[_Part], dropped: list[Dropped]) -> list[Clip]:
    """Return the clips of all parts; a clip that an earlier part has is dropped."""
    if len(parts) == 1:
        return parts[0].clips
    seen: set[str] = set()
    clips = []
    for part in parts:
        for clip, line in zip(part.clips, part.lines, strict=True):
            if clip.id in seen:
                reason = f"duplicate clip {clip.id!r}, an earlier list has it"
                dropped.append(Dropped(os.fspath(part.path), line, reason))
            else:
                seen.add(clip.id)
                clips.append(clip)
    return clips
