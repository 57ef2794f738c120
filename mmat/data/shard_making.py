"""Shards are filled with the clips of their jobs: here, one shard after the other."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

import tqdm

from mmat.data.clip_records import ClipJob, PrepareConfig, make_record, media_sha256
from mmat.data.decoding import decode
from mmat.data.media import Media
from mmat.data.shard_file import ShardFile
from mmat.data.shard_folder import ShardFolder
from mmat.data.shards import Shard

JobsOf = Callable[[Shard], list[ClipJob]]


@dataclasses.dataclass(frozen=True)
class ShardWriter:
    """How clips become records: see `mmat.data.prepare.prepare` for the fields."""

    config: PrepareConfig
    workers: int
    limit_seconds: float

    def decoded(self, jobs: Iterable[ClipJob]) -> Iterator[Media | str]:
        """Yield for every job its media, or why it has none; some jobs are drawn ahead."""
        readings = (job.reading(self.config) for job in jobs)
        return decode(readings, self.workers, self.limit_seconds)

    def write(
        self, file: ShardFile, answers: Iterable[tuple[ClipJob, Media | str]]
    ) -> Iterator[None]:
        """Put decoded clips in a shard, or why there are none; yields after each of them."""
        for job, media in answers:
            if isinstance(media, str):
                file.fail(job.id, job.file, media)
            else:
                file.add(make_record(job, media, self.config))
            yield


def make_shards(
    folder: ShardFolder, jobs_of: JobsOf, writer: ShardWriter, progress: bool
) -> Iterator[dict]:
    """Make the shards that the folder lacks, and yield their entries of the index."""
    waiting = []
    for shard, file in folder.waiting():
        if file.n_done < len(shard.clips):
            waiting.append((shard, file))
        else:
            yield file.finish() | {"media_sha256": media_sha256(jobs_of(shard))}
    n_clips = sum(len(shard.clips) for shard in folder.plan)
    n_done = n_clips - sum(len(shard.clips) - file.n_done for shard, file in waiting)
    if progress and n_done:
        print(f"{folder.path}: {n_done} of {n_clips} clips are there already; going on")
    disable = None if progress else True  # None: shown on a terminal alone
    with tqdm.tqdm(
        desc="prepare", total=n_clips, initial=n_done, unit=" clips", disable=disable
    ) as bar:
        yield from _make_in_turn(waiting, jobs_of, writer, bar)


def _make_in_turn(
    waiting: list[tuple[Shard, ShardFile]], jobs_of: JobsOf, writer: ShardWriter, bar: tqdm.tqdm
) -> Iterator[dict]:
    media_of: dict[ShardFile, str] = {}

    def steps() -> Iterator[tuple[ShardFile, ClipJob]]:
        for shard, file in waiting:
            jobs = jobs_of(shard)
            media_of[file] = media_sha256(jobs)
            yield from ((file, job) for job in jobs[file.n_done :])

    # Decoding runs some clips ahead of the writing, into the next shard too.
    ahead, clips = itertools.tee(steps())
    written_bytes = 0
    with contextlib.closing(writer.decoded(job for _, job in ahead)) as decoded:
        answers = zip(clips, decoded, strict=False)
        for file, of_shard in itertools.groupby(answers, key=lambda answer: answer[0][0]):
            with file:
                for _ in writer.write(file, ((job, media) for (_, job), media in of_shard)):
                    bar.set_postfix_str(f"{(written_bytes + file.n_bytes) / 1e6:.0f} MB", False)
                    bar.update()
                written_bytes += file.n_bytes
                yield file.finish() | {"media_sha256": media_of.pop(file)}
