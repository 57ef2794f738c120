"""What is done with one clip: its file is found, read, looked at, and becomes a record.

The same functions serve the processes of one machine and the workers of a Beam pipeline, so that
both make the same shards.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from mmat.data.clips import Clip
from mmat.data.finding import MediaFolder
from mmat.data.media import SAMPLE_RATE_HZ, Media
from mmat.data.records import Record, to_int16
from mmat.labels import LabelSet

_JPEG_QUALITY = 90

# uint8 RGB (n, height, width, 3) to probabilities (n, n_image_labels)
ImageClassifier = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the content of shards besides the clips, their media and the labels.

    clip_seconds: sound is cut or padded with zeros to this length; None keeps every length.
    image_network: the name of what looks at the pictures, None where nothing does.
    """

    clip_seconds: float | None = 10.0
    n_frames: int = 8
    image_network: str | None = None
    image_size_px: int = 224
    keep_frames: bool = False
    clips_per_shard: int = 512

    @property
    def n_pictures(self) -> int:
        """How many pictures are read of a clip: none where nothing is done with them."""
        return self.n_frames if self.image_network is not None or self.keep_frames else 0


@dataclasses.dataclass(frozen=True)
class ClipJob:
    """A clip on its way into a shard: what is to be read, and what its list says of it.

    path, start_seconds, end_seconds: the file and the range to read. labels: positions in the
    label set. events: (label position, onset seconds, offset seconds). stamp: the file's size in
    bytes and its date of change in nanoseconds, None where there is no file.
    """

    id: str
    file: str
    path: str
    start_seconds: float | None
    end_seconds: float | None
    labels: tuple[int, ...]
    events: tuple[tuple[int, float, float], ...]
    stamp: tuple[int, int] | None
    values: tuple[float, ...] = ()

    def reading(self, settings: Settings) -> dict:
        """Return the arguments of `mmat.data.media.read_media`: no more than a shard holds."""
        end_seconds = self.end_seconds
        if settings.clip_seconds is not None:
            longest = (self.start_seconds or 0.0) + settings.clip_seconds
            end_seconds = longest if end_seconds is None else min(end_seconds, longest)
        return {
            "path": self.path,
            "start_seconds": self.start_seconds,
            "end_seconds": end_seconds,
            "n_frames": settings.n_pictures,
            "square_px": settings.image_size_px,
        }


def clip_jobs(clips: Iterable[Clip], media: MediaFolder, labels: LabelSet) -> Iterator[ClipJob]:
    """Yield for every clip where its file lies; one that is not found keeps the list's path."""
    for clip in clips:
        found = media.find(clip)
        path = os.path.join(media.folder, clip.file) if found is None else found.path
        yield ClipJob(
            clip.id,
            clip.file,
            os.fspath(path),
            found and found.start_seconds,
            found and found.end_seconds,
            tuple(labels.index(name) for name in clip.labels),
            tuple((labels.index(e.label), e.onset_seconds, e.offset_seconds) for e in clip.events),
            found and _stamp(path),
            clip.values,
        )


def _stamp(path: str | os.PathLike) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def media_sha256(jobs: Iterable[ClipJob]) -> str:
    """Return a sha256 over what tells changed media from the same: name, range, size and date."""
    digest = hashlib.sha256()
    for job in jobs:
        name = os.path.basename(job.path)
        digest.update(json.dumps([name, job.start_seconds, job.end_seconds, job.stamp]).encode())
    return digest.hexdigest()


def make_record(
    job: ClipJob, media: Media, image_classifier: ImageClassifier | None, settings: Settings
) -> Record:
    """Return the record of a clip that was read.

    The network sees the pictures of this clip alone: in a batch with others they could come out
    with other last digits, and a clip's record would depend on its neighbours.
    """
    audio = None if media.waveform is None else to_int16(media.waveform)
    if audio is not None and settings.clip_seconds is not None:
        n_samples = round(settings.clip_seconds * SAMPLE_RATE_HZ)
        audio = np.pad(audio[:n_samples], (0, max(0, n_samples - len(audio))))
    probabilities, kept = None, ()
    if media.frames is not None and image_classifier is not None:
        probabilities = np.asarray(image_classifier(media.frames)).astype(np.float16)
    if media.frames is not None and settings.keep_frames:
        kept = tuple(
            tf.io.encode_jpeg(picture, quality=_JPEG_QUALITY).numpy() for picture in media.frames
        )
    return Record(job.id, audio, probabilities, job.labels, job.events, kept, job.values)
