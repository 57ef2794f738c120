"""Parts of a list that share no source: connected clips, and a validation slice of a list.

The slice is the same everywhere, of whole videos, with every class in it. Packages for multi-label
stratification split videos and shuffle by a random state, so it is done here: classes from the
rarest on (Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD
2011), videos in the order of a hash of their name.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from mmat.files import InputError
from mmat.lists.clip import Clip

VALIDATION = "validation"
_NO_LABEL = ""


def validation_slice(clips: Sequence[Clip], fraction: float = 0.1, seed: int = 0) -> list[Clip]:
    """Return the clips in their order, a fraction of them with the split `validation`.

    All clips of one video (else source group, else the clip itself) stay together. Each class has
    about that fraction of its clips in the slice: at least one where possible, and never all of
    its videos. The choice depends on names, labels and seed alone, not on the order of the list,
    and one video more or less changes it little. Raises InputError for a fraction that is not
    between 0 and 1, and for a list from which no video can be spared.

    >>> clips = [Clip(f"{i}", f"{i}.wav", ("Dog",), video_id=f"v{i // 2}") for i in range(20)]
    >>> chosen = [clip for clip in validation_slice(clips, 0.2) if clip.split == "validation"]
    >>> len(chosen), len({clip.video_id for clip in chosen})
    (4, 2)
    """
    if not 0 < fraction < 1:
        raise InputError(f"validation slice: the fraction {fraction} is not between 0 and 1")
    videos: dict[str, list[Clip]] = {}
    for clip in clips:
        videos.setdefault(_video(clip), []).append(clip)
    chosen = _choose(_labels_by_video(videos, seed), fraction)
    if not chosen:
        raise InputError(
            f"validation slice: none of the {len(videos)} videos can be spared from training; give "
            "a list with more videos of a class"
        )
    return [
        dataclasses.replace(clip, split=VALIDATION) if _video(clip) in chosen else clip
        for clip in clips
    ]


def connected_groups(groups: Sequence[Sequence[str]]) -> np.ndarray:
    """Return a number for each clip, the same for two clips that are linked by source groups.

    groups: the names of each clip's source groups, any number of them. Clips that share a group
    are linked, and so are clips that are both linked to a third. A clip without a group, or with
    an empty name only, is linked to none. Returns int64 `(clips,)`, numbered from 0 in the order
    of the first clips.

    >>> connected_groups([["dog 1"], ["cat 1"], ["dog 1", "dog 2"], [], ["dog 2"]]).tolist()
    [0, 1, 0, 2, 0]
    """
    links = [(row, name) for row, names in enumerate(groups) for name in names if name]
    rows = np.array([row for row, _ in links], np.int64)
    names, columns = np.unique([name for _, name in links], return_inverse=True)
    n_nodes = len(groups) + len(names)  # a node for every clip, then one for every group
    graph = scipy.sparse.coo_array(
        (np.ones(len(links), bool), (rows, len(groups) + columns)), shape=(n_nodes, n_nodes)
    )
    components = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    return components[: len(groups)].astype(np.int64)


def group_folds(
    groups: Sequence[Sequence[str]], n_folds: int = 5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Part clips into folds for cross-validation so that no source group is on both sides of one.

    groups: the names of each clip's source groups; a clip without a name is a group of its own.
    Returns (rows to learn from, rows held out) of each fold, int64. Clips that share a group,
    directly or through others, stay together. Where that would tie more than a third of all clips,
    the groups themselves are dealt out, and a clip with groups of several folds is left out of
    those: it is learnt from only where all of its groups are, and held out only with all of them.
    Fewer folds, or none, where there are not enough groups. The folds depend on the groups alone.

    >>> folds = group_folds([["a"], ["a"], ["b"], ["c"]], n_folds=2)
    >>> [(learnt.tolist(), held_out.tolist()) for learnt, held_out in folds]
    [([2, 3], [0, 1]), ([0, 1], [2, 3])]
    """
    named = [tuple(filter(None, own)) or (f"\0{row}",) for row, own in enumerate(groups)]
    linked = connected_groups(named)
    tied = np.bincount(linked, minlength=1) > max(1, len(named) / 3)
    first: dict[int, str] = {}  # of the groups of a component, by which it is called
    for own, component in zip(named, linked, strict=True):
        first[component] = min(*own, first.get(component, own[0]))
    units = [
        set(own) if tied[component] else {first[component]}
        for own, component in zip(named, linked, strict=True)
    ]
    n_clips = collections.Counter(unit for own in units for unit in own)
    n_folds = min(n_folds, len(n_clips))
    filled, fold_of = [0] * n_folds, {}
    for unit in sorted(n_clips, key=lambda unit: (-n_clips[unit], unit)):
        fold_of[unit] = min(range(n_folds), key=filled.__getitem__)
        filled[fold_of[unit]] += n_clips[unit]
    of_clip = [{fold_of[unit] for unit in own} for own in units]
    parted = [
        (
            np.array([row for row, own in enumerate(of_clip) if fold not in own], np.int64),
            np.array([row for row, own in enumerate(of_clip) if own == {fold}], np.int64),
        )
        for fold in range(n_folds)
    ]
    return [(learnt, held_out) for learnt, held_out in parted if len(learnt) and len(held_out)]


def _video(clip: Clip) -> str:
    return clip.video_id or clip.source_group or clip.id


def _labels_by_video(
    videos: dict[str, list[Clip]], seed: int
) -> dict[str, collections.Counter[str]]:
    """Return how many clips of each video have each label, the videos in the order of a hash."""

    def place(video: str) -> bytes:
        return hashlib.sha256(f"{seed} {video}".encode(errors="backslashreplace")).digest()

    return {
        video: collections.Counter(
            label for clip in videos[video] for label in clip.labels or (_NO_LABEL,)
        )
        for video in sorted(videos, key=place)
    }


def _choose(counts: dict[str, collections.Counter[str]], fraction: float) -> set[str]:
    """Choose videos: for each class, rarest first, as many as it still lacks in the slice."""
    having: dict[str, list[str]] = collections.defaultdict(list)
    totals: collections.Counter[str] = collections.Counter()
    for video, labels in counts.items():
        totals.update(labels)
        for label in labels:
            having[label].append(video)
    lacking = {
        label: max(fraction * total, len(having[label]) > 1) for label, total in totals.items()
    }
    left = collections.Counter({label: len(having[label]) for label in totals})  # for training
    chosen: set[str] = set()
    decided: set[str] = set()
    for label in sorted(totals, key=lambda label: (totals[label], label)):
        for video in having[label]:
            if video in decided:
                continue
            decided.add(video)
            wanted = 2 * lacking[label] >= counts[video][label]
            if wanted and all(left[each] > 1 for each in counts[video]):
                chosen.add(video)
                left.subtract(counts[video].keys())
                for each, n_clips in counts[video].items():
                    lacking[each] -= n_clips
    return chosen
