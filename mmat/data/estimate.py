"""What `mmat prepare` would take, in disk and time, from a sample of the clips."""

import dataclasses
import os
import random
import time
from collections.abc import Iterable

from mmat.data.clip_records import (
    ImageClassifier,
    PrepareConfig,
    clip_jobs,
    image_classifier,
    make_record,
)
from mmat.data.clips import Clip
from mmat.data.decoding import DecodingProcess
from mmat.data.finding import MediaFolder
from mmat.data.records import encode_example
from mmat.data.tfrecord import FRAME_BYTES
from mmat.errors import InputError
from mmat.labels import LabelSet


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a list would take; clips that are not found take nothing.

    found: clips whose file is there. sampled: those that were tried. unreadable: those of them
    that failed. decode_seconds: mean seconds of one process for one clip. write_seconds: of the
    process that writes, the image network included.
    """

    clips: int
    found: int
    sampled: int
    unreadable: int
    bytes_a_clip: float
    decode_seconds: float
    write_seconds: float

    @property
    def n_bytes(self) -> float:
        """The size of all shards."""
        return self.found * self.bytes_a_clip * (self.sampled - self.unreadable) / self.sampled

    def seconds(self, workers: int, cores: int | None = None) -> float:
        """Return how long it takes with so many decoding processes, on so many cores.

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
) -> Estimate:
    """Read a random sample of the clips that are found, and say what all would take.

    Nothing is written; the arguments are those of `mmat.data.prepare.prepare`. Raises InputError
    for a missing media folder and where no file is found.
    """
    config = PrepareConfig(clip_seconds, n_frames, image_classifier(image_network), keep_frames)
    media, clips = MediaFolder(media_folder), list(clips)
    found = [clip for clip in clips if media.find(clip)]
    if not found:
        raise InputError(f"{media_folder}: holds none of the {len(clips)} clips")
    sample = random.Random(seed).sample(found, min(n_sample, len(found)))
    jobs = list(clip_jobs(sample, media, labels))
    sizes, decode_seconds, write_seconds = [], 0.0, 0.0
    process = DecodingProcess(limit_seconds)
    try:
        for i, job in enumerate([jobs[0], *jobs]):  # the first is read to start all that starts
            began = time.perf_counter()
            answer = process.decode(job.reading(config))
            decoded = time.perf_counter()
            if not isinstance(answer, str):
                record = make_record(job, answer, config)
                size = len(encode_example(record)) + FRAME_BYTES
            if i == 0:
                continue
            decode_seconds += decoded - began
            write_seconds += time.perf_counter() - decoded
            if not isinstance(answer, str):
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
    )
