"""A clip list and a folder of media become TFRecord shards: every file is decoded once.

Worker processes decode; the image network and the writing are here. One shard is written after
the other, and a run that was stopped goes on where it was when it is started again.
"""

import contextlib
import csv
import errno
import os
import pathlib
from collections.abc import Iterable, Iterator

from mmat.data.clip_records import (
    ClipJob,
    ImageClassifier,
    PrepareConfig,
    clip_jobs,
    image_classifier,
    list_sha256,
    media_sha256,
)
from mmat.data.clips import Clip
from mmat.data.finding import MediaFolder
from mmat.data.locking import exclusive_lock
from mmat.data.media import SAMPLE_RATE_HZ
from mmat.data.records import SCHEMA_VERSION
from mmat.data.shard_folder import ShardFolder, check_ours
from mmat.data.shard_making import ShardWriter, make_shards
from mmat.data.shards import FAILURES_FILE, LABELS_FILE, Shard, load_index, plan_shards, replacing
from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.tasks import task_entry

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def prepare(
    clips: Iterable[Clip],
    media_folder: str | os.PathLike,
    out_folder: str | os.PathLike,
    labels: LabelSet,
    image_network: str | ImageClassifier | None = None,
    n_frames: int = 8,
    clip_seconds: float | None = 10.0,
    clips_per_shard: int = 512,
    workers: int = 2,
    limit_seconds: float = 60.0,
    keep_frames: bool = False,
    overwrite: bool = False,
    beam_options: Iterable[str] | None = None,
    progress: bool = True,
) -> dict:
    """Decode all clips into TFRecord shards with an index, and return the index.

    image_network: what looks at the pictures, n_frames of each clip: a name or a record of
    `mmat.models.pretrained.registry`, or what has a name, a size and `classify` as those have;
    without it the shards hold no image probabilities.
    clip_seconds: sound is cut or padded with zeros to this length; None keeps every length.
    workers: decoding processes; 0 decodes in this one, without limits. limit_seconds: a clip that
    takes longer to read has failed. keep_frames: store the pictures as JPEG. beam_options: run it
    as an Apache Beam pipeline, `["--runner=…", …]`; see `mmat.data.beam`.
    Clips that cannot be read stand in `failures.csv`. A run that was stopped goes on, and finished
    shards are reused; those of another list, other settings or media are replaced with `overwrite`.
    Raises InputError for an empty list, an id that is there twice, a missing media folder, an
    `out_folder` that holds something else, a list none of whose clips can be read, a full disk.

    >>> import tempfile, soundfile, numpy as np
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "rex.wav", np.zeros(16000), 16000)
    >>> clips, labels = [Clip("rex", "rex.wav", ("Dog",))], LabelSet.of(["Dog", "Cat"])
    >>> index = prepare(clips, folder, folder / "shards", labels, workers=0, progress=False)
    >>> index["splits"]["train"]["clips"], index["failures"]
    (1, 0)
    """
    config = PrepareConfig(
        clip_seconds, n_frames, image_classifier(image_network), keep_frames, clips_per_shard
    )
    clips, media, out_folder = list(clips), MediaFolder(media_folder), pathlib.Path(out_folder)
    _check_ids(clips)
    _check_labels(clips, labels)
    plan = plan_shards(clips, clips_per_shard)
    about = {
        "schema_version": SCHEMA_VERSION,
        "labels": list(labels.names),
        "task": task_entry(labels.task),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        **config.for_index(),
        "list_sha256": list_sha256(clips),
    }
    writer = ShardWriter(config, workers, limit_seconds)

    def jobs_of(shard: Shard) -> list[ClipJob]:
        return list(clip_jobs(shard.clips, media, labels))

    check_ours(out_folder)
    with _told_when_full(out_folder), exclusive_lock(out_folder):
        folder = ShardFolder(out_folder, about, plan)
        if folder.resume(overwrite, lambda shard: media_sha256(jobs_of(shard))):
            if progress:
                print(f"{out_folder}: holds these clips already, and is reused")
            return load_index(out_folder)
        folder.save(complete=False)
        with replacing(out_folder / LABELS_FILE) as part:
            labels.to_csv(part)
        if beam_options is None:
            entries = make_shards(folder, jobs_of, writer, progress)
        else:
            entries = _beam().make_shards(folder, jobs_of, writer, list(beam_options))
        for entry in entries:
            folder.add(entry)
        index = folder.finish()
    if not any(split["clips"] for split in index["splits"].values()):
        raise InputError(f"none of the {len(clips)} clips can be read; {_first_reason(out_folder)}")
    return index


def _beam():
    try:
        from mmat.data import beam
    except ImportError as error:
        raise InputError(f"a Beam runner needs Beam ({error}); pip install 'mmat[beam]'") from error
    return beam


def _check_ids(clips: list[Clip]) -> None:
    if not clips:
        raise InputError("prepare: the list holds no clips")
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise InputError(f"prepare: the id {clip.id!r} is there twice; give every clip its own")
        seen.add(clip.id)


def _check_labels(clips: list[Clip], labels: LabelSet) -> None:
    """Raise InputError for a clip whose labels are not those of the label set's task."""
    task = labels.task
    for clip in clips:
        if task.is_multi_class and len(clip.labels) != 1:
            what = f"{len(clip.labels)} labels, where a clip has exactly one ({task})"
        elif task.is_regression and set(clip.labels) != set(labels.names):
            what = f"values of {', '.join(clip.labels) or 'nothing'}, not {', '.join(labels.names)}"
        elif len(clip.values) != (len(clip.labels) if task.is_regression else 0):
            what = f"{len(clip.values)} values of {len(clip.labels)} labels ({task})"
        elif not all(task.low <= value <= task.high for value in clip.values):
            what = f"a value outside of {task.low:g} to {task.high:g}"
        else:
            continue
        raise InputError(f"prepare: clip {clip.id!r}: {what}; mend the list")


def _first_reason(folder: pathlib.Path) -> str:
    path = folder / FAILURES_FILE
    with open(path, encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    return f"first {first['reason']} (all in {path})"


@contextlib.contextmanager
def _told_when_full(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise InputError(
            f"{error.filename or folder}: {error.strerror}; the finished shards are valid: make "
            "space and run the same command again, which goes on from here"
        ) from error
