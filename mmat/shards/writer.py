"""One shard while it is written: stopped at any moment, it can be resumed.

`NAME.part` holds the records so far, `NAME.failures` (a line of JSON each) the clips that have
none. Each is written before the next clip's turn, so a process that is killed loses only the clip
that it was working on. A whole shard is renamed to `NAME`; its failures stay beside it until those
of all shards are collected.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from mmat.shards.record import (
    FRAME_BYTES,
    Record,
    decode_example,
    encode_example,
    framed,
    whole_records,
)

PART_SUFFIX, FAILURES_SUFFIX = ".part", ".failures"
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass
class Counts:
    """What the records of a shard hold, and how many of its clips have none."""

    clips: int = 0
    failures: int = 0
    with_audio: int = 0
    with_video: int = 0
    n_image_labels: int = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.clips += 1
        self.with_audio += record.audio is not None
        self.with_video += record.image_probabilities is not None or bool(record.frames_jpeg)
        if record.image_probabilities is not None:
            self.n_image_labels = record.image_probabilities.shape[1]


class ShardFile:
    """A shard of given clips, resumed where an earlier run left it.

    ids: the shard's clips, in order. `n_done` of them are done: call `add` or `fail` for each of
    the others in turn, and then `finish`. As a context it closes its files; none is open before
    the first `add` or `fail`.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with ShardFile(folder, "a.tfrecord", ["x", "y"]) as shard:
    ...     shard.fail("x", "x.wav", "no such file")
    >>> with ShardFile(folder, "a.tfrecord", ["x", "y"]) as shard:
    ...     shard.n_done, shard.add(Record("y")), shard.finish()["clips"]
    (1, None, 1)
    """

    def __init__(self, folder: str | os.PathLike, name: str, ids: Sequence[str]):
        self.name = name
        self.counts = Counts()
        self.n_bytes = 0
        self._path = pathlib.Path(folder, name)
        self._part = pathlib.Path(folder, name + PART_SUFFIX)
        self._journal = pathlib.Path(folder, name + FAILURES_SUFFIX)
        self._sha256 = hashlib.sha256()
        self._closing = contextlib.ExitStack()
        self._files: dict[pathlib.Path, int] = {}
        self._resume(ids)

    def __enter__(self) -> "ShardFile":
        return self

    def __exit__(self, *error) -> None:
        self._closing.close()

    @property
    def n_done(self) -> int:
        """How many of the first clips are done."""
        return self.counts.clips + self.counts.failures

    def _resume(self, ids: Sequence[str]) -> None:
        """Count what is there, and cut off everything after the first clip that is missing."""
        if self._path.exists():  # whole, but the run was stopped before it was in the index
            os.replace(self._path, self._part)
        records, failures = whole_records(self._part), failure_rows(self._journal)
        serialized, failure = next(records, None), next(failures, None)
        journal_bytes = 0
        for clip_id in ids:
            record = None if serialized is None else decode_example(serialized)
            if record is not None and record.id == clip_id:
                self.counts.add(record)
                self.n_bytes += len(serialized) + FRAME_BYTES
                serialized = next(records, None)
            elif failure is not None and failure[0] == clip_id:
                self.counts.failures += 1
                journal_bytes += len(_line(failure))
                failure = next(failures, None)
            else:
                break
        _cut(self._part, self.n_bytes)
        _cut(self._journal, journal_bytes)
        for block in _blocks(self._part):
            self._sha256.update(block)

    def add(self, record: Record) -> None:
        """Append the record of the next clip."""
        content = framed(encode_example(record))
        self._append(self._part, content)
        self._sha256.update(content)
        self.n_bytes += len(content)
        self.counts.add(record)

    def fail(self, clip_id: str, file: str, reason: str) -> None:
        """Record that the next clip has no record, and why."""
        self._append(self._journal, _line((clip_id, file, reason)))
        self.counts.failures += 1

    def finish(self) -> dict:
        """Give the shard its final name, and return its index entry."""
        if not self._part.exists():
            self._append(self._part, b"")  # every clip failed: a shard without records
        for path in (self._part, self._journal):
            if path.exists():
                sync(path)
        self._closing.close()
        os.replace(self._part, self._path)
        sync(self._path.parent)
        entry = {"name": self.name, "bytes": self.n_bytes, "sha256": self._sha256.hexdigest()}
        return entry | dataclasses.asdict(self.counts)

    def _append(self, path: pathlib.Path, content: bytes) -> None:
        """Write bytes at once: a buffer would be lost with the process."""
        if path not in self._files:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            self._closing.callback(os.close, file)
            self._files[path] = file
        left = memoryview(content)
        try:
            while left:
                left = left[os.write(self._files[path], left) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def failure_rows(journal: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """Yield (id, file, reason) of a journal of failures, up to a line that is cut off."""
    if not journal.exists():
        return
    with open(journal, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            yield tuple(json.loads(line))


def sync(path: str | os.PathLike) -> None:
    """Wait until a file, or the names in a folder, are safe on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(failure: Iterable[str]) -> bytes:
    return json.dumps(list(failure)).encode() + b"\n"


def _cut(path: pathlib.Path, n_bytes: int) -> None:
    if path.exists() and path.stat().st_size > n_bytes:
        os.truncate(path, n_bytes)


def _blocks(path: pathlib.Path) -> Iterator[bytes]:
    if path.exists():
        with open(path, "rb") as file:
            yield from iter(lambda: file.read(_BLOCK_BYTES), b"")
