"""The clips that a tagger of own labels is trained on: read from a folder or a list, and parted.

Those of the splits `train` and `validation` are learnt from, those of `test` are measured on.
"""

import collections
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.lists.folders import read_folder
from mmat.lists.read import read_list
from mmat.lists.splits import VALIDATION
from mmat.media.find import MediaFolder
from mmat.media.folder import MEDIA_SUFFIXES, kinds_line, suffix_kind
from mmat.shards.corpus import TRAIN

TEST = "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SHOWN_NAMES = 5  # of files, in a warning


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled clips and the folder that their files lie in."""

    clips: list[Clip]
    labels: LabelSet
    media: pathlib.Path

    def of(self, splits: Iterable[str]) -> "Source":
        """Return the clips of some splits."""
        wanted = set(splits)
        clips = [clip for clip in self.clips if clip.split in wanted]
        return dataclasses.replace(self, clips=clips)


def read_source(
    source: str | os.PathLike,
    media: str | os.PathLike | None,
    labels: LabelSet | None,
    split: str | None = None,
) -> Source:
    """Read a folder or a list of clips; what is left out of it is a warning.

    media: where the files of a list lie, default beside it; a folder is its own. labels: default
    the source's. split: that of every clip. Raises InputError for what cannot be read, for a media
    folder that is none, and for labels that are values.
    """
    source = pathlib.Path(source)
    if not source.exists():
        raise InputError(f"{source}: no such folder or list")
    if source.is_dir():
        found = read_folder(source, MEDIA_SUFFIXES, labels, split or TRAIN)
        kinds = kinds_line(collections.Counter(map(suffix_kind, found.left_out)))
        what = f"files are no sound and no video ({kinds}), and are left out"
        _warn(source, what, found.left_out)
        _warn(source, "files hold what another of their label holds; one counts", found.copies)
        media = source
    else:
        media = MediaFolder(source.parent if media is None else media).folder
        found = read_list(source, labels, split=split, media=media)
        _warn(source, "rows cannot be used", found.dropped)
        others = [clip.id for clip in found.clips if clip.split not in SPLITS]
        _warn(source, f"clips are of none of the splits {', '.join(SPLITS)}", others)
    if found.labels.task.is_regression:
        raise InputError(
            f"{source}: its labels are values, which have no names to start from; use "
            "experiments/train.py"
        )
    return Source(found.clips, found.labels, media)


def parted(
    own: Source, held_out: Source | None, source: str | os.PathLike, test: str | os.PathLike | None
) -> tuple[Source, Source | None]:
    """Return the clips to learn from and those to measure on, None without.

    own: what was read of source, held_out: of test. Raises InputError where there is nothing to
    learn from, and where test clips are named twice or are learnt from.
    """
    learnt_from, tested = own.of([TRAIN, VALIDATION]), own.of([TEST])
    if not any(clip.split == TRAIN for clip in learnt_from.clips):
        raise InputError(f"{source}: no clip of the split {TRAIN!r} to learn from; give some")
    if held_out is None:
        return learnt_from, tested if tested.clips else None
    if tested.clips:
        raise InputError(f"--test {test}: {source} has test clips too; name them in one place")
    places = {_place(own, clip) for clip in learnt_from.clips}
    shared = [clip.file for clip in held_out.clips if _place(held_out, clip) in places]
    if shared:
        raise InputError(
            f"{test}: {len(shared)} of its clips are learnt from too, first {shared[0]}; measure "
            "on others"
        )
    return learnt_from, dataclasses.replace(held_out, labels=own.labels)


def _place(source: Source, clip: Clip) -> tuple:
    return os.path.realpath(source.media / clip.file), clip.start_seconds, clip.end_seconds


def warn_of_labels_always_there(source: str | os.PathLike, learnt_from: Source) -> None:
    """Warn of the labels that every training clip has; source: where the clips were read."""
    _warn(
        pathlib.Path(source),
        "labels are in every training clip, so nothing tells when they are absent; add clips "
        "without them, in a folder such as _noise",
        _always_there(learnt_from),
        stacklevel=4,
    )


def _always_there(source: Source) -> list[str]:
    """Return the labels that every training clip has."""
    clips = [set(clip.labels) for clip in source.clips if clip.split == TRAIN]
    return [name for name in source.labels.names if all(name in labels for labels in clips)]


def _warn(source: pathlib.Path, what: str, names: Sequence[object], stacklevel: int = 3) -> None:
    if names:
        shown = ", ".join(map(str, names[:SHOWN_NAMES])) + (", …" if names[SHOWN_NAMES:] else "")
        warnings.warn(f"{source}: {len(names)} {what}: {shown}", stacklevel=stacklevel)
