"""`mmat prepare` as an Apache Beam pipeline, for lists that one machine is too small for.

The unit of work is a shard. Its clips, and where their media lie, are in `NAME.jobs` in the
folder of shards; all workers must see that folder and the media under the same paths. A shard that
is begun is resumed, so a pipeline that was stopped goes on.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from mmat.files import InputError
from mmat.shards.clip_job import ClipJob, ShardWriter
from mmat.shards.folder import JOBS_SUFFIX, Shard, ShardFolder
from mmat.shards.writer import ShardFile

RESULTS_FILE = "made.jsonl"


def make_shards(
    folder: ShardFolder,
    jobs_of: Callable[[Shard], list[ClipJob]],
    writer: ShardWriter,
    options: Sequence[str],
) -> list[dict]:
    """Make the shards that the folder lacks, and return their index entries.

    writer: is pickled, so its image network should be loaded when it is first called; its
    `workers` are the decoding processes of each Beam worker. options: Beam's, `--runner=…` among
    them. Raises InputError where the pipeline fails, OSError where a worker raised one.
    """
    shards = [shard for shard in folder.plan if shard.name not in folder.entries]
    results = folder.path / RESULTS_FILE
    orders = [folder.path / (shard.name + JOBS_SUFFIX) for shard in shards]
    try:
        for shard, order in zip(shards, orders, strict=True):
            _write_jobs(order, jobs_of(shard))
        _run([shard.name for shard in shards], ShardMaker(folder.path, writer), results, options)
        entries = [json.loads(line) for line in results.read_text().splitlines()]
    finally:
        for path in (*orders, results):
            path.unlink(missing_ok=True)
    for entry in entries:
        if "errno" in entry:
            raise OSError(entry["errno"], os.strerror(entry["errno"]), entry["file"])
    return entries


def _run(names: list[str], maker: beam.DoFn, results: pathlib.Path, options: Sequence[str]) -> None:
    parsed = PipelineOptions(list(options))
    try:
        with beam.Pipeline(runner=_runner(parsed), options=parsed) as pipeline:
            entries = pipeline | beam.Create(names) | beam.Reshuffle() | beam.ParDo(maker)
            lines = entries | beam.Map(json.dumps)
            _ = lines | beam.io.WriteToText(str(results), shard_name_template="")
    except Exception as error:  # each runner has its own; the last line of its text is the reason
        lines = (str(error).strip() or repr(error)).splitlines()
        raise InputError(f"the Beam pipeline failed: {lines[-1].strip()}") from error


def _runner(options: PipelineOptions) -> beam.runners.PipelineRunner | str | None:
    """Return the runner that the options name.

    Beam's `DirectRunner` would first try to download another runner, Prism; the one that it falls
    back to is used at once.
    """
    name = options.view_as(StandardOptions).runner
    if name in (None, "DirectRunner"):
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        return FnApiRunner()
    return name


class ShardMaker(beam.DoFn):
    """The names of shards in, their entries of the index out; the shards are files."""

    def __init__(self, folder: pathlib.Path, writer: ShardWriter):
        self._folder = folder
        self._writer = writer

    def process(self, name: str) -> Iterator[dict]:
        """Make a shard; an error of the file system is a result, since a retry would not help."""
        try:
            with _locked(self._folder / (name + JOBS_SUFFIX)):
                yield self._made(name)
        except OSError as error:
            file = error.filename or str(self._folder / name)
            yield {"errno": error.errno, "file": file}

    def _made(self, name: str) -> dict:
        jobs = _read_jobs(self._folder / (name + JOBS_SUFFIX))
        now = (job.stamped().made_of for job in jobs)
        with ShardFile(self._folder, name, [job.id for job in jobs], now) as file:
            with contextlib.closing(self._writer.decoded(jobs[file.n_done :])) as decoded:
                for _ in self._writer.write(file, decoded):
                    pass
            return file.finish() | {"media_sha256": file.media_sha256}


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """Let one worker at a time make a shard: some runners give the same work to two."""
    with open(path, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_jobs(path: pathlib.Path, jobs: Iterable[ClipJob]) -> None:
    with open(path, "w", encoding="ascii") as file:
        for job in jobs:
            file.write(json.dumps(dataclasses.asdict(job)) + "\n")


def _read_jobs(path: pathlib.Path) -> list[ClipJob]:
    with open(path, encoding="ascii") as file:
        return [ClipJob(**json.loads(line)) for line in file]
