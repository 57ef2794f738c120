"""One clip on its way into a shard: its file is found, read, classified, and becomes a record.

The processes of one machine and the workers of a Beam pipeline call the same functions, so that
both make the same shards.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import tensorflow as tf

from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.lists.ways import Way
from mmat.media.find import MediaFolder
from mmat.media.read import SAMPLE_RATE_HZ, Media
from mmat.media.workers import decode
from mmat.pretrained.registry import AudioEncoder, image_network
from mmat.shards.frozen import ENCODER, IMAGE_SHA256, IMAGE_SIZE, encoder_entry
from mmat.shards.record import Record, to_float32, to_int16
from mmat.shards.writer import ShardFile

_JPEG_QUALITY = 90
_KEPT_SIZE_PX = 224  # of pictures that no network classifies
_SHORTER_SECONDS = 0.1  # than its range is what a clip may be by the frames of a codec


class ImageClassifier(Protocol):
    """What classifies pictures: an `ImageNetwork` of `mmat.pretrained.registry`, or alike.

    name: for the index. classify: uint8 RGB `(n, input_size_px, input_size_px, 3)` to
    probabilities `(n, n_image_labels)`. One with an `embedding_size` above 0 also has `look`, to
    these and embeddings `(n, embedding_size)`, and a `handle`.
    """

    name: str
    input_size_px: int

    def classify(self, pictures: np.ndarray) -> np.ndarray: ...


def image_classifier(network: str | ImageClassifier | None) -> ImageClassifier | None:
    """Return the image network of a name; anything but a name is returned as it is.

    Raises InputError for an unknown name.
    """
    return image_network(network) if isinstance(network, str) else network


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What decides the content of shards besides the clips, their media and the labels.

    See `mmat.shards.prepare.prepare` for the fields.
    """

    clip_seconds: float | None = 10.0
    n_frames: int = 8
    image_network: ImageClassifier | None = None
    keep_frames: bool = False
    clips_per_shard: int = 512
    audio_encoder: AudioEncoder | None = None
    keep_image_embeddings: bool = True

    @property
    def image_embedding_size(self) -> int:
        """The size of the image embeddings that are kept, beside an encoder's outputs; or 0."""
        if self.audio_encoder is None or not self.keep_image_embeddings:
            return 0
        return getattr(self.image_network, "embedding_size", 0)

    @property
    def n_pictures(self) -> int:
        """How many pictures are read of a clip: none where they are not used."""
        return self.n_frames if self.image_network is not None or self.keep_frames else 0

    @property
    def image_size_px(self) -> int:
        """The width and height of the pictures that are read."""
        return self.image_network.input_size_px if self.image_network else _KEPT_SIZE_PX

    def for_index(self) -> dict:
        """Return the entries of the index, whose names are part of the format of shards."""
        return {
            "clip_seconds": self.clip_seconds,
            "n_frames": self.n_frames,
            "image_network": self.image_network and self.image_network.name,
            "image_size_px": self.image_size_px,
            "keep_frames": self.keep_frames,
            "clips_per_shard": self.clips_per_shard,
        }

    def frozen_entries(self) -> dict:
        """Return the index's entries of frozen networks; none without an audio encoder.

        Raises InputError where a network cannot be loaded.
        """
        if self.audio_encoder is None:
            return {}
        from mmat.pretrained.hub import network_sha256

        network, size = self.image_network, self.image_embedding_size
        image_sha256 = None
        if size:
            image_sha256 = network_sha256(network.embedding_handle or network.handle)
        return {
            ENCODER: encoder_entry(self.audio_encoder),
            IMAGE_SIZE: size,
            IMAGE_SHA256: image_sha256,
        }


@dataclasses.dataclass(frozen=True)
class ClipJob:
    """What to read of a clip, and what its list says of it.

    path, start_seconds, end_seconds: the file and the range to read. labels: positions in the
    label set. events: (label position, onset seconds, offset seconds). stamp: the file's size in
    bytes and its date of change in nanoseconds, None where there is no file, or it changed while it
    was read. source_groups: names. range_seconds: how long the list says that the clip is.
    way: which part of the file the clip is, None where there is no file.
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
    source_groups: tuple[str, ...] = ()
    range_seconds: float | None = None
    way: Way | None = None

    @property
    def made_of(self) -> list:
        """What changes when the media do: the file's name, the range, size and date."""
        return [os.path.basename(self.path), self.start_seconds, self.end_seconds, self.stamp]

    def stamped(self) -> "ClipJob":
        """Return the job with the stamp that its file has now."""
        return dataclasses.replace(self, stamp=_stamp(self.path))

    def reading(self, config: PrepareConfig) -> dict:
        """Return the arguments of `mmat.media.read.read_media`: no more than a shard holds."""
        end_seconds = self.end_seconds
        if config.clip_seconds is not None:
            longest = (self.start_seconds or 0.0) + config.clip_seconds
            end_seconds = longest if end_seconds is None else min(end_seconds, longest)
        return {
            "path": self.path,
            "start_seconds": self.start_seconds,
            "end_seconds": end_seconds,
            "n_frames": config.n_pictures,
            "square_px": config.image_size_px,
        }


def clip_jobs(clips: Iterable[Clip], media: MediaFolder, labels: LabelSet) -> Iterator[ClipJob]:
    """Yield the job of every clip; one whose file is not found has the list's path."""
    for clip in clips:
        found, end_seconds = media.find(clip), clip.end_seconds
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
            clip.source_groups,
            None if end_seconds is None else end_seconds - (clip.start_seconds or 0.0),
            way=found and found.way,
        )


def _stamp(path: str | os.PathLike) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


class _Verbatim(str):
    """A text that a tuple shows without quotes."""

    __repr__ = str.__str__


def _call(name: str, **fields) -> _Verbatim:
    return _Verbatim(f"{name}({', '.join(f'{key}={value!r}' for key, value in fields.items())})")


def list_sha256(clips: Iterable[Clip]) -> str:
    """Return a sha256 over everything that a list says of its clips, in their order.

    The index holds it, and shards are reused by it: the hashed names are those of schema version 1,
    whatever the fields are called now. Clips without values have no such field there.
    """
    digest = hashlib.sha256()
    for clip in clips:
        events = (
            _call(
                "Event",
                label=event.label,
                onset_seconds=event.onset_seconds,
                offset_seconds=event.offset_seconds,
            )
            for event in clip.events
        )
        shown = _call(
            "Clip",
            id=clip.id,
            file=clip.file,
            labels=clip.labels,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            split=clip.split,
            source_group=clip.source_group,
            events=tuple(events),
            video_id=clip.video_id,
            **({"values": clip.values} if clip.values else {}),
        )
        digest.update(shown.encode(errors="backslashreplace"))
    return digest.hexdigest()


def media_sha256(jobs: Iterable[ClipJob]) -> str:
    """Return a sha256 over what changes when the media do: name, range, size and date."""
    digest = hashlib.sha256()
    for job in jobs:
        digest.update(json.dumps(job.made_of).encode())
    return digest.hexdigest()


def make_record(job: ClipJob, media: Media, config: PrepareConfig) -> Record:
    """Return the record of a clip that was read.

    The networks get the pictures and the sound of this clip alone: in a batch with others the last
    digits could differ, and a clip's record would depend on its neighbours.
    """
    audio = None if media.waveform is None else to_int16(media.waveform)
    if audio is not None and config.clip_seconds is not None:
        n_samples = round(config.clip_seconds * SAMPLE_RATE_HZ)
        audio = np.pad(audio[:n_samples], (0, max(0, n_samples - len(audio))))
    probabilities, embeddings, kept = None, None, ()
    if media.frames is not None and config.image_network is not None:
        if config.image_embedding_size:
            probabilities, embeddings = map(_half, config.image_network.look(media.frames))
        else:
            probabilities = _half(config.image_network.classify(media.frames))
    if media.frames is not None and config.keep_frames:
        kept = tuple(
            tf.io.encode_jpeg(picture, quality=_JPEG_QUALITY).numpy() for picture in media.frames
        )
    record = Record(job.id, audio, probabilities, job.labels, job.events, kept, job.values)
    if config.audio_encoder is None:
        return record
    record = dataclasses.replace(record, image_embeddings=embeddings)
    return with_encoder(record, config.audio_encoder, job.source_groups)


def with_encoder(record: Record, encoder: AudioEncoder, source_groups: tuple[str, ...]) -> Record:
    """Return the record with the encoder's outputs for its sound, as it is stored."""
    scores, embeddings = None, None
    if record.audio is not None:
        scores, embeddings = map(_half, encoder.encode(to_float32(record.audio)))
    return dataclasses.replace(
        record,
        sound_scores=scores if encoder.n_labels else None,
        sound_embeddings=embeddings,
        source_groups=tuple(source_groups),
    )


def _half(outputs: np.ndarray) -> np.ndarray:
    return outputs.astype(np.float16)


@dataclasses.dataclass(frozen=True)
class ShardWriter:
    """How clips become records: see `mmat.shards.prepare.prepare` for the fields."""

    config: PrepareConfig
    workers: int
    limit_seconds: float

    def decoded(self, jobs: Iterable[ClipJob]) -> Iterator[tuple[ClipJob, Media | str]]:
        """Yield every job with its media, or why it has none; some jobs are taken in advance.

        The job's stamp is that of the content that was read.
        """
        waiting: collections.deque[ClipJob] = collections.deque()

        def readings() -> Iterator[dict]:
            for job in jobs:
                waiting.append(job.stamped())
                yield job.reading(self.config)

        with contextlib.closing(decode(readings(), self.workers, self.limit_seconds)) as decoded:
            for media in decoded:
                job = waiting.popleft()
                if job.stamped().stamp == job.stamp:
                    yield job, media
                else:  # without a stamp it is made anew by the next run, whatever its file is then
                    reason = f"{job.path}: changed while it was read; run mmat prepare again"
                    yield dataclasses.replace(job, stamp=None), reason

    def write(
        self, file: ShardFile, decoded: Iterable[tuple[ClipJob, Media | str]]
    ) -> Iterator[None]:
        """Put decoded clips in a shard, or why there are none; yields after each of them."""
        for job, media in decoded:
            if isinstance(media, str):
                file.fail(job.id, job.file, media, job.made_of)
            else:
                record = make_record(job, media, self.config)
                file.add(record, job.file, job.made_of, warning_of(job, media, self.config))
            yield


def warning_of(job: ClipJob, media: Media, config: PrepareConfig) -> str:
    """Return in words what was lost in reading a clip; empty if nothing was.

    That is what the reading says, and how much of a list's range has no sound because the file
    ends before. A clip without a range may be of any length.
    """
    sentences = [" ".join(media.problem.split())] if media.problem else []
    if job.range_seconds is not None and media.waveform is not None:
        wanted = job.range_seconds
        if config.clip_seconds is not None:
            wanted = min(wanted, config.clip_seconds)
        missing = wanted - len(media.waveform) / SAMPLE_RATE_HZ
        if missing > _SHORTER_SECONDS:
            what = f"of the {job.range_seconds:g} s in the list, {missing:.2f} s are missing"
            in_place = "" if config.clip_seconds is None else "; zeros are in their place"
            sentences.append(what + in_place)
    return "; ".join(sentences)
