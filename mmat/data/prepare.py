"""A clip list and a folder of media become TFRecord shards: every file is decoded once.

Worker processes decode; the image network runs here, on batches of pictures of many clips. The
shards are written beside their folder and moved into place when all is done.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
import tqdm

from mmat.data.decoding import decode
from mmat.data.lists import Clip
from mmat.data.media import SAMPLE_RATE_HZ, Media
from mmat.data.records import SCHEMA_VERSION, Record, to_int16
from mmat.data.shards import INDEX_FILE, SplitWriter, read_index, write_failures, write_index
from mmat.errors import InputError, atomic_path
from mmat.labels import LabelSet

_PICTURES_A_BATCH = 64
_CLIPS_A_BATCH = 64  # bounds the memory where few clips have pictures

ImageClassifier = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Settings:
    """What decides the content of the shards besides the clips, the media and the labels."""

    clip_seconds: float | None
    n_frames: int
    image_network: str | None
    image_size_px: int
    shards_per_split: int
    keep_frames: bool


def prepare(
    clips: Iterable[Clip],
    media_folder: str | os.PathLike,
    out_folder: str | os.PathLike,
    labels: LabelSet,
    image_classifier: ImageClassifier | None = None,
    image_network: str = "image network",
    image_size_px: int = 224,
    n_frames: int = 8,
    clip_seconds: float | None = 10.0,
    shards_per_split: int = 4,
    workers: int = 2,
    keep_frames: bool = False,
    progress: bool = True,
) -> dict:
    """Decode all clips into TFRecord shards with an index, and return the index.

    image_classifier: uint8 RGB (n, image_size_px, image_size_px, 3) to probabilities (n,
    n_image_labels); without it the shards hold none. image_network: its name, for the index.
    clip_seconds: sound is cut or padded with zeros to this length; None keeps every length.
    workers: decoding processes; 0 decodes in this one. keep_frames: store the pictures as JPEG.
    Clips that cannot be read stand in `failures.csv`. An `out_folder` that holds this is reused.
    Raises InputError for an empty list, a missing media folder, an `out_folder` that holds
    something else, and a list none of whose clips can be read.

    >>> import tempfile, soundfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "rex.wav", np.zeros(16000), 16000)
    >>> clips, labels = [Clip("rex", "rex.wav", ("Dog",))], LabelSet.of(["Dog", "Cat"])
    >>> index = prepare(clips, folder, folder / "shards", labels, workers=0, progress=False)
    >>> index["splits"]["train"]["clips"], index["failures"]
    (1, 0)
    """
    clips, media_folder, out_folder = (
        list(clips),
        pathlib.Path(media_folder),
        pathlib.Path(out_folder),
    )
    if not clips:
        raise InputError("prepare: the list holds no clips")
    if not media_folder.is_dir():
        raise InputError(f"{media_folder}: no such media folder")
    settings = _Settings(
        clip_seconds=clip_seconds,
        n_frames=n_frames,
        image_network=image_network if image_classifier else None,
        image_size_px=image_size_px,
        shards_per_split=shards_per_split,
        keep_frames=keep_frames,
    )
    source = _fingerprint(clips, media_folder, labels, settings)
    index = _existing(out_folder, source)
    if index:
        if progress:
            print(f"{out_folder}: holds these clips already, and is reused")
        return index
    jobs = _jobs(clips, media_folder, settings)
    with atomic_path(out_folder) as part, contextlib.closing(decode(jobs, workers)) as media:
        part.mkdir()
        decoded = zip(clips, media, strict=True)
        bar = tqdm.tqdm(decoded, "prepare", len(clips), unit=" clips", disable=not progress)
        counts, failures = _write_shards(part, clips, bar, labels, image_classifier, settings)
        if len(failures) == len(clips):
            raise InputError(f"none of the {len(clips)} clips can be read; first {failures[0][1]}")
        index = {
            "schema_version": SCHEMA_VERSION,
            "labels": list(labels.names),
            "sample_rate_hz": SAMPLE_RATE_HZ,
            **dataclasses.asdict(settings),
            **counts,
            "failures": len(failures),
            "source_sha256": source,
        }
        labels.to_csv(part / "labels.csv")
        write_failures(part, failures)
        write_index(part, index)
    return index


def _fingerprint(clips, media_folder, labels, settings) -> str:
    """Return a sha256 over everything the shards depend on; media count by their size and date."""
    digest = hashlib.sha256()
    for item in (SCHEMA_VERSION, dataclasses.asdict(labels), dataclasses.asdict(settings)):
        digest.update(json.dumps(item).encode())
    for clip in clips:
        try:
            status = os.stat(media_folder / clip.file)
            state = (status.st_size, status.st_mtime_ns)
        except OSError:
            state = None
        digest.update(json.dumps((dataclasses.asdict(clip), state)).encode())
    return digest.hexdigest()


def _existing(out_folder: pathlib.Path, source: str) -> dict | None:
    """Return the index if the folder is up to date, None if it may be written."""
    if not out_folder.exists() or (out_folder.is_dir() and not any(out_folder.iterdir())):
        return None
    if not (out_folder / INDEX_FILE).is_file():
        raise InputError(f"{out_folder}: holds something other than shards; give another folder")
    try:
        index = read_index(out_folder)
    except InputError:
        return None  # of another version, or damaged: made anew
    return index if index.get("source_sha256") == source else None


def _jobs(clips: list[Clip], media_folder: pathlib.Path, settings: _Settings) -> Iterator[dict]:
    """Yield for every clip what its decoding needs: no more of the file than goes into a shard."""
    pictures_wanted = settings.image_network is not None or settings.keep_frames
    for clip in clips:
        end_seconds = clip.end_seconds
        if settings.clip_seconds is not None:
            longest = (clip.start_seconds or 0.0) + settings.clip_seconds
            end_seconds = longest if end_seconds is None else min(end_seconds, longest)
        yield {
            "path": media_folder / clip.file,
            "start_seconds": clip.start_seconds,
            "end_seconds": end_seconds,
            "n_frames": settings.n_frames if pictures_wanted else 0,
            "square_px": settings.image_size_px,
        }


def _write_shards(
    folder: pathlib.Path,
    clips: list[Clip],
    decoded: Iterable[tuple[Clip, Media | str]],
    labels: LabelSet,
    image_classifier: ImageClassifier | None,
    settings: _Settings,
) -> tuple[dict, list[tuple[str, str]]]:
    """Write the shards; return the index's counts, and (file, reason) of what cannot be read."""
    clips_of = collections.Counter(clip.split for clip in clips)
    writers = {
        split: SplitWriter(folder, split, min(n_clips, settings.shards_per_split))
        for split, n_clips in clips_of.items()
    }
    failures: list[tuple[str, str]] = []
    n_image_labels = 0
    for batch in _batches(decoded, failures):
        classified = _classify([media for _, media in batch], image_classifier)
        for (clip, media), probabilities in zip(batch, classified, strict=True):
            if probabilities is not None:
                n_image_labels = probabilities.shape[1]
            writers[clip.split].write(_record(clip, media, probabilities, labels, settings))
    splits = {split: writer.close() for split, writer in writers.items()}
    return {"n_image_labels": n_image_labels, "splits": splits}, failures


def _batches(
    decoded: Iterable[tuple[Clip, Media | str]], failures: list[tuple[str, str]]
) -> Iterator[list[tuple[Clip, Media]]]:
    """Group clips so that the image network gets full batches; unreadable ones go to failures."""
    batch: list[tuple[Clip, Media]] = []
    n_pictures = 0
    for clip, media in decoded:
        if isinstance(media, str):
            failures.append((clip.file, media))
            continue
        batch.append((clip, media))
        n_pictures += 0 if media.frames is None else len(media.frames)
        if n_pictures >= _PICTURES_A_BATCH or len(batch) == _CLIPS_A_BATCH:
            yield batch
            batch, n_pictures = [], 0
    if batch:
        yield batch


def _classify(
    batch: list[Media], image_classifier: ImageClassifier | None
) -> list[np.ndarray | None]:
    """Return each clip's image probabilities (n_frames, n_image_labels), None without pictures."""
    lengths = [0 if media.frames is None else len(media.frames) for media in batch]
    if image_classifier is None or not any(lengths):
        return [None] * len(batch)
    pictures = np.concatenate([media.frames for media in batch if media.frames is not None])
    probabilities = np.asarray(image_classifier(pictures)).astype(np.float16)
    parts = np.split(probabilities, np.cumsum(lengths)[:-1])
    return [part if length else None for part, length in zip(parts, lengths, strict=True)]


def _record(
    clip: Clip,
    media: Media,
    probabilities: np.ndarray | None,
    labels: LabelSet,
    settings: _Settings,
) -> Record:
    audio = None if media.waveform is None else to_int16(media.waveform)
    if audio is not None and settings.clip_seconds is not None:
        n_samples = round(settings.clip_seconds * SAMPLE_RATE_HZ)
        audio = np.pad(audio[:n_samples], (0, max(0, n_samples - len(audio))))
    pictures = media.frames if settings.keep_frames and media.frames is not None else ()
    return Record(
        id=clip.id,
        audio=audio,
        image_probabilities=probabilities,
        labels=tuple(labels.index(name) for name in clip.labels),
        events=tuple(
            (labels.index(event.label), event.onset_seconds, event.offset_seconds)
            for event in clip.events
        ),
        frames_jpeg=tuple(tf.io.encode_jpeg(picture, quality=90).numpy() for picture in pictures),
    )
