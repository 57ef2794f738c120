"""A clip list and a folder of media become TFRecord shards: every file is decoded once.

Worker processes decode; this process runs the frozen networks and writes, one shard after the
other. A run that was stopped goes on when it is started again. An audio encoder can be added to
finished shards by a second run (`mmat.shards.encode`). `estimate` predicts, from a sample of the
clips, the disk space and the time of a run.
"""

import contextlib
import csv
import dataclasses
import errno
import functools
import itertools
import os
import pathlib
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator

import tqdm

from mmat.files import InputError, exclusive_lock
from mmat.labels import LabelSet, task_entry
from mmat.lists.clip import Clip
from mmat.lists.pieces import beginning
from mmat.lists.ways import Ways
from mmat.media.find import MediaFolder
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.media.workers import DecodingProcess
from mmat.pretrained.registry import AudioEncoder
from mmat.pretrained.registry import audio_encoder as encoder_of
from mmat.shards.clip_job import (
    ClipJob,
    ImageClassifier,
    PrepareConfig,
    ShardWriter,
    clip_jobs,
    image_classifier,
    list_sha256,
    make_record,
    media_sha256,
)
from mmat.shards.encode import add_encoder, with_entries
from mmat.shards.folder import (
    FAILURES_FILE,
    INDEX_FILE,
    LABELS_FILE,
    Shard,
    ShardFolder,
    check_ours,
    load_index,
    plan_shards,
    replacing,
)
from mmat.shards.frozen import (
    ENCODER,
    FROZEN_ENTRIES,
    IMAGE_SHA256,
    IMAGE_SIZE,
    kept_encoder,
)
from mmat.shards.index import ADDING, check_settings
from mmat.shards.record import FRAME_BYTES, SCHEMA_VERSION, encode_example
from mmat.shards.writer import ShardFile

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
    audio_encoder: str | AudioEncoder | None = None,
) -> dict:
    """Decode all clips into TFRecord shards with an index, and return the index.

    image_network: what classifies the pictures, n_frames of each clip: a name or a record of
    `mmat.pretrained.registry`, or anything with the attributes of an `ImageClassifier`;
    without it the shards hold no image probabilities.
    clip_seconds: sound is cut or padded with zeros to this length; None keeps every length. Events
    that begin behind it are left out, with a warning.
    workers: decoding processes; 0 decodes in this one, without limits. limit_seconds: a clip that
    takes longer to read has failed. keep_frames: store the pictures as JPEG. beam_options: run it
    as an Apache Beam pipeline, `["--runner=…", …]`; see `mmat.shards.beam`.
    audio_encoder: what hears the sound, a name, a handle or a record: its outputs, the pictures'
    embeddings and the source groups are stored too. To finished shards it is added from the sound
    in them: the media may be absent then, and the pictures stay without embeddings.
    Clips that cannot be read are listed in `failures.csv`, those that lost something in reading in
    `warnings.csv`; the index counts both. A run that was stopped goes on, and
    finished shards are reused; those of another list, other settings or media are replaced with
    `overwrite`. Raises InputError for an empty list, an id that occurs twice, a missing media
    folder, an `out_folder` that holds something else, a list none of whose clips can be read, a
    full disk.

    >>> import tempfile, soundfile, numpy as np
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "rex.wav", np.zeros(16000), 16000)
    >>> clips, labels = [Clip("rex", "rex.wav", ("Dog",))], LabelSet.of(["Dog", "Cat"])
    >>> index = prepare(clips, folder, folder / "shards", labels, workers=0, progress=False)
    >>> index["splits"]["train"]["clips"], index["failures"]
    (1, 0)
    """
    config = PrepareConfig(
        clip_seconds,
        n_frames,
        image_classifier(image_network),
        keep_frames,
        clips_per_shard,
        encoder_of(audio_encoder) if isinstance(audio_encoder, str) else audio_encoder,
    )
    clips, out_folder = list(clips), pathlib.Path(out_folder)
    _check_ids(clips)
    _check_labels(clips, labels)
    if clip_seconds is not None:
        clips = _beginnings(clips, clip_seconds)
    about = {
        "schema_version": SCHEMA_VERSION,
        "labels": list(labels.names),
        "task": task_entry(labels.task),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        **config.for_index(),
        "list_sha256": list_sha256(clips),
    }
    try:
        check_settings(about)
    except ValueError as error:
        raise InputError(f"prepare: {error}") from error
    media = functools.cache(lambda: MediaFolder(media_folder))  # adding an encoder needs none
    ways, seen = Ways(), set()

    def jobs_of(shard: Shard) -> list[ClipJob]:
        jobs = list(clip_jobs(shard.clips, media(), labels))
        if shard.name not in seen:
            seen.add(shard.name)
            for job in jobs:
                ways.add(job.way and job.path, job.way)
        return jobs

    check_ours(out_folder)
    with _full_disk_as_error(out_folder), exclusive_lock(out_folder):
        there = load_index(out_folder) if (out_folder / INDEX_FILE).is_file() else {}
        frozen = _frozen(out_folder, config, {} if overwrite else there)
        plan = plan_shards(clips, clips_per_shard)
        folder = ShardFolder(out_folder, with_entries(about, frozen.entries), plan)
        adds = frozen.added is not None
        # The media of finished shards are not needed where an encoder is added.
        without_media = adds and there.get("complete", True)
        media_of = None if without_media else lambda shard: media_sha256(jobs_of(shard))
        if not folder.resume(overwrite, media_of):
            media()  # raises for a missing folder before anything is written, as does the next
            if frozen.config.audio_encoder is not None:
                frozen.config.audio_encoder.load()
            folder.save(complete=False)
            with replacing(out_folder / LABELS_FILE) as part:
                labels.to_csv(part)
            writer = ShardWriter(frozen.config, workers, limit_seconds)
            if beam_options is None:
                entries = make_shards(folder, jobs_of, writer, progress)
            else:
                entries = _beam().make_shards(folder, jobs_of, writer, list(beam_options))
            for entry in entries:
                folder.add(entry)
            folder.finish()
            if progress and ways.told():
                print(f"media: {ways.line()}")
            if ways.doubt():
                warnings.warn(ways.doubt(), stacklevel=2)
        elif progress and not adds:
            print(f"{out_folder}: holds these clips already, and is reused")
        index = load_index(out_folder)
        if not any(split["clips"] for split in index["splits"].values()):
            reason = _first_reason(out_folder)
            raise InputError(f"none of the {len(clips)} clips can be read; {reason}")
        if adds:
            index = add_encoder(folder, config.audio_encoder, frozen.added, progress)
    return index


def _beginnings(clips: list[Clip], seconds: float) -> list[Clip]:
    """Return what the clips are whose sound is cut; warns of events that are cut off with it."""
    cut = [beginning(clip, seconds) for clip in clips]
    changed = [clip.id for clip, whole in zip(cut, clips, strict=True) if clip != whole]
    if changed:
        warnings.warn(
            f"{len(changed)} clips, first {changed[0]!r}, have events that begin behind "
            f"{seconds:g} s, where their sound is cut; these are left out, and labels that sound "
            "only there; keep the whole sound by --clip-seconds whole",
            stacklevel=3,
        )
    return cut


@dataclasses.dataclass(frozen=True)
class _Frozen:
    """How frozen networks take part in a run: at the making of shards, or added to them after.

    config, entries: the settings by which shards are made, and what the index says of their
    networks. added: what it says after an encoder was added; None where none is.
    """

    config: PrepareConfig
    entries: dict
    added: dict | None = None


def _frozen(folder: pathlib.Path, config: PrepareConfig, index: dict) -> _Frozen:
    """Return how the networks of these settings take part, after an index of an earlier run.

    Shards that were begun are finished by the encoder that they were begun with; another is added
    then. Embeddings of pictures that were not kept stay away.
    """
    wanted = config.frozen_entries()
    if not index:
        return _Frozen(config, wanted)
    if ADDING in index and not wanted:
        name = index[ADDING]["entries"][ENCODER]["name"]
        raise InputError(f"{folder}: unfinished; run it again with --audio-encoder {name}")
    begun = dataclasses.replace(
        config,
        audio_encoder=kept_encoder(index),
        keep_image_embeddings=bool(index.get(IMAGE_SIZE)),
    )
    is_finished = index.get("complete", True) or ADDING in index
    entries = {name: index[name] for name in FROZEN_ENTRIES if name in index}
    if not is_finished:
        entries = begun.frozen_entries()
    if not wanted or (entries.get(ENCODER) == wanted[ENCODER] and ADDING not in index):
        return _Frozen(begun, entries)
    pictures = {IMAGE_SIZE: entries.get(IMAGE_SIZE, 0), IMAGE_SHA256: entries.get(IMAGE_SHA256)}
    return _Frozen(begun, entries, {ENCODER: wanted[ENCODER]} | pictures)


def make_shards(
    folder: ShardFolder,
    jobs_of: Callable[[Shard], list[ClipJob]],
    writer: ShardWriter,
    progress: bool,
) -> Iterator[dict]:
    """Make the shards that the folder lacks, in this process, and yield their index entries."""

    def made_of(shard: Shard) -> Iterator[list]:
        for job in jobs_of(shard):
            yield job.made_of

    waiting = []
    for shard, file in folder.waiting(made_of):
        if file.n_done < len(shard.clips):
            waiting.append((shard, file))
        else:
            yield file.finish() | {"media_sha256": file.media_sha256}
    n_clips = sum(len(shard.clips) for shard in folder.plan)
    n_done = n_clips - sum(len(shard.clips) - file.n_done for shard, file in waiting)
    if progress and n_done:
        print(f"{folder.path}: {n_done} of {n_clips} clips are there already; going on")
    disable = None if progress else True  # None: shown on a terminal only
    with tqdm.tqdm(
        desc="prepare", total=n_clips, initial=n_done, unit=" clips", disable=disable
    ) as bar:
        yield from _make_in_turn(waiting, jobs_of, writer, bar)


def _make_in_turn(
    waiting: list[tuple[Shard, ShardFile]],
    jobs_of: Callable[[Shard], list[ClipJob]],
    writer: ShardWriter,
    bar: tqdm.tqdm,
) -> Iterator[dict]:
    # Decoding runs some clips ahead of the writing, into the next shard too.
    jobs = (job for shard, file in waiting for job in jobs_of(shard)[file.n_done :])
    written_bytes = 0
    with contextlib.closing(writer.decoded(jobs)) as decoded:
        for shard, file in waiting:
            n_left = len(shard.clips) - file.n_done
            with file:
                for _ in writer.write(file, itertools.islice(decoded, n_left)):
                    bar.set_postfix_str(f"{(written_bytes + file.n_bytes) / 1e6:.0f} MB", False)
                    bar.update()
                written_bytes += file.n_bytes
                yield file.finish() | {"media_sha256": file.media_sha256}


def _beam():
    try:
        from mmat.shards import beam
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
def _full_disk_as_error(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise InputError(
            f"{error.filename or folder}: {error.strerror}; the finished shards are valid: make "
            "space and run the same command again, which goes on from here"
        ) from error


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What it would take to prepare a list; clips that are not found take nothing.

    found: clips whose file is there. sampled: those that were read. unreadable: those of them
    that failed. decode_seconds: mean seconds of one process for one clip. write_seconds: those of
    the process that writes, the frozen networks included. ways: how all clips lie in their files.
    """

    clips: int
    found: int
    sampled: int
    unreadable: int
    bytes_a_clip: float
    decode_seconds: float
    write_seconds: float
    ways: Ways = dataclasses.field(default_factory=Ways)

    @property
    def n_bytes(self) -> float:
        """The size of all shards."""
        return self.found * self.bytes_a_clip * (self.sampled - self.unreadable) / self.sampled

    def seconds(self, workers: int, cores: int | None = None) -> float:
        """Return how long it takes with this number of decoding processes and cores.

        cores: default those that this process may use.

        >>> Estimate(1000, 1000, 20, 0, 340e3, 0.04, 0.01).seconds(workers=2, cores=4)
        20.0
        """
        cores = cores or len(os.sched_getaffinity(0))
        if workers == 0:
            return self.found * (self.decode_seconds + self.write_seconds)
        busiest = max(self.decode_seconds / workers, self.write_seconds)
        return self.found * max(busiest, (self.decode_seconds + self.write_seconds) / cores)


def estimate(
    clips: Iterable[Clip],
    media_folder: str | os.PathLike,
    labels: LabelSet,
    image_network: str | ImageClassifier | None = None,
    n_frames: int = 8,
    clip_seconds: float | None = 10.0,
    keep_frames: bool = False,
    limit_seconds: float = 60.0,
    n_sample: int = 20,
    seed: int = 0,
    audio_encoder: str | AudioEncoder | None = None,
) -> Estimate:
    """Read a random sample of the clips that are found, and predict what all would take.

    Nothing is written; the arguments are those of `mmat.shards.prepare.prepare`. Raises InputError
    for a missing media folder and where no file is found.
    """
    encoder = encoder_of(audio_encoder) if isinstance(audio_encoder, str) else audio_encoder
    config = PrepareConfig(
        clip_seconds, n_frames, image_classifier(image_network), keep_frames, audio_encoder=encoder
    )
    media, clips, found, ways = MediaFolder(media_folder), list(clips), [], Ways()
    for clip in clips:
        place = media.find(clip)
        ways.add(place and place.path, place and place.way)
        found += [clip] if place else []
    if not found:
        raise InputError(f"{media_folder}: holds none of the {len(clips)} clips")
    sample = random.Random(seed).sample(found, min(n_sample, len(found)))
    jobs = list(clip_jobs(sample, media, labels))
    sizes, decode_seconds, write_seconds = [], 0.0, 0.0
    process = DecodingProcess(limit_seconds)
    try:
        for i, job in enumerate([jobs[0], *jobs]):  # the first warms up, and is not counted
            began = time.perf_counter()
            media_or_reason = process.decode(job.reading(config))
            decoded = time.perf_counter()
            size = None
            if not isinstance(media_or_reason, str):
                record = make_record(job, media_or_reason, config)
                size = len(encode_example(record)) + FRAME_BYTES
            if i == 0:
                continue
            decode_seconds += decoded - began
            write_seconds += time.perf_counter() - decoded
            if size is not None:
                sizes.append(size)
    finally:
        process.close()
    return Estimate(
        clips=len(clips),
        found=len(found),
        sampled=len(jobs),
        unreadable=len(jobs) - len(sizes),
        bytes_a_clip=sum(sizes) / max(1, len(sizes)),
        decode_seconds=decode_seconds / len(jobs),
        write_seconds=write_seconds / len(jobs),
        ways=ways,
    )
