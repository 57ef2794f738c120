"""Frame scores in the form that sed_scores_eval reads: a folder with a TSV for each clip.

Each file has the columns `onset`, `offset` and one for every class, a row a frame, whose onset is
the offset of the row before; its name is the clip's with `.tsv` after it. Scores are written so
that float32 comes back bit for bit.
"""

import csv
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from mmat.errors import InputError, atomic_path
from mmat.metrics import checks

LONGEST_NAME_BYTES = 200


def frame_times(n_frames: int, hop_seconds: float) -> np.ndarray:
    """Return the onset of every frame and the offset of the last: float64 `(n_frames + 1,)`.

    Rounded, so that 0.1 s hops do not end at 0.30000000000000004 s.

    >>> frame_times(3, 0.1).tolist()
    [0.0, 0.1, 0.2, 0.3]
    """
    if hop_seconds <= 0:
        raise InputError(f"hop_seconds: {hop_seconds} is no duration; it is 0.1 for 10 Hz")
    return np.round(np.arange(n_frames + 1) * hop_seconds, 6)


def write_frame_scores(
    folder: str | os.PathLike,
    ids: Sequence[str],
    labels: Sequence[str],
    frame_scores: Sequence[np.ndarray],
    hop_seconds: float = 0.1,
) -> None:
    """Write the frame scores of clips into a folder, whole or not at all.

    frame_scores: one array a clip, `(time, classes)`, a row every `hop_seconds`. Raises InputError
    for a clip without frames, two clips of one name, and names of classes that the form cannot hold
    (a backslash, twice the same).

    >>> import tempfile
    >>> folder = os.path.join(tempfile.mkdtemp(), "scores")
    >>> write_frame_scores(folder, ["a"], ["Dog"], [np.float32([[0.25], [0.5]])])
    >>> print(open(os.path.join(folder, "a.tsv")).read().replace("\\t", " "), end="")
    onset offset Dog
    0.0 0.1 0.25
    0.1 0.2 0.5
    """
    names = [file_stem(clip) for clip in ids]
    if len(ids) != len(frame_scores):
        raise InputError(f"frame scores: those of {len(frame_scores)} clips for {len(ids)} names")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"frame scores: the clip {twice!r} comes twice; each needs its own name")
    for label in labels:
        if "\\" in label or list(labels).count(label) > 1 or label in ("onset", "offset"):
            raise InputError(f"frame scores: a column cannot be named {label!r}; rename the class")
    with atomic_path(folder) as part:
        part.mkdir()
        for clip, name, scores in zip(ids, names, frame_scores, strict=True):
            scores = checks.as_scores(scores, f"frame scores of {clip}", np.shape(scores))
            if scores.ndim != 2 or not len(scores) or scores.shape[1] != len(labels):
                raise InputError(f"frame scores of {clip}: {scores.shape} for {len(labels)} labels")
            times = frame_times(len(scores), hop_seconds)
            with open(part / f"{name}.tsv", "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", lineterminator="\n")
                writer.writerow(["onset", "offset", *labels])
                for t, row in enumerate(scores.astype(np.float32)):
                    writer.writerow([times[t], times[t + 1], *map(str, row)])


def file_stem(clip: str) -> str:
    """Return a clip's name as a file's: it stays inside the folder, and is not too long.

    >>> file_stem("-5QrBL6MzLg_60.000_70.000"), file_stem("../dogs/a 1%")
    ('-5QrBL6MzLg_60.000_70.000', '%2E.%2Fdogs%2Fa 1%25')
    """
    stem = clip.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C").replace("\0", "%00")
    if stem.startswith("."):
        stem = "%2E" + stem[1:]
    encoded = os.fsencode(stem)
    if len(encoded) > LONGEST_NAME_BYTES:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        stem = encoded[: LONGEST_NAME_BYTES - 17].decode(errors="ignore") + "-" + digest
    return stem
