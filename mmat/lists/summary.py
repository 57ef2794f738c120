"""The summary of a list: clips, hours, clips a label and labels a clip, and missing media."""

import collections
import dataclasses
import math
from typing import TYPE_CHECKING

from mmat.lists.clip import Clip
from mmat.lists.read import ReadList
from mmat.lists.ways import Ways

if TYPE_CHECKING:
    from mmat.media.find import MediaFolder

SECONDS_AN_HOUR = 3600


@dataclasses.dataclass(frozen=True)
class MediaCount:
    """How many clips' media were found and are missing, in all and by label.

    ways: how the clips lie in their files.
    """

    found: int
    missing: int
    found_by_label: dict[str, int]
    missing_by_label: dict[str, int]
    ways: Ways = dataclasses.field(default_factory=Ways, compare=False)


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of a list, labels in the label set's order.

    hours: of the clips whose length is known; without_length: how many other clips there are.
    labels_by_split: split -> label -> number of clips. labels_per_clip: number of labels -> number
    of clips. media: None without a media folder.
    """

    clips: int
    hours: float
    without_length: int
    splits: dict[str, int]
    labels: dict[str, int]
    labels_by_split: dict[str, dict[str, int]]
    labels_per_clip: dict[int, int]
    media: MediaCount | None = None


def summarise(read: ReadList, media: "MediaFolder | None" = None) -> Summary:
    """Count what a list holds; `media` is searched for its clips, and for lengths not listed.

    >>> from mmat.labels import LabelSet
    >>> clips = [Clip("rex", "rex.wav", ("Dog",), 0.0, 9.0)]
    >>> summary = summarise(ReadList(clips, LabelSet.of(["Cat", "Dog"])))
    >>> summary.clips, summary.hours, summary.labels, summary.labels_per_clip
    (1, 0.0025, {'Cat': 0, 'Dog': 1}, {1: 1})
    """
    found, missing, seconds, ways = [], [], [], Ways()
    for clip in read.clips:
        place = None if media is None else media.find(clip)
        (found if place else missing).append(clip)
        ways.add(place and place.path, place and place.way)
        if clip.end_seconds is not None:
            seconds.append(clip.end_seconds - (clip.start_seconds or 0.0))
        elif place:
            seconds.append(place.duration_seconds())
    known = [length for length in seconds if not math.isnan(length)]
    clips, names = read.clips, read.labels.names
    count = None
    if media is not None:
        by_label = _by_label(found, names), _by_label(missing, names)
        count = MediaCount(len(found), len(missing), *by_label, ways)
    splits = dict(collections.Counter(clip.split for clip in clips))
    return Summary(
        clips=len(clips),
        hours=math.fsum(known) / SECONDS_AN_HOUR,
        without_length=len(clips) - len(known),
        splits=splits,
        labels=_by_label(clips, names),
        labels_by_split={
            split: _by_label([clip for clip in clips if clip.split == split], names)
            for split in splits
        },
        labels_per_clip=dict(sorted(collections.Counter(len(c.labels) for c in clips).items())),
        media=count,
    )


def _by_label(clips: list[Clip], names: tuple[str, ...]) -> dict[str, int]:
    counts = collections.Counter(label for clip in clips for label in clip.labels)
    return {name: counts[name] for name in names}
