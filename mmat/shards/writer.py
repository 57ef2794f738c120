"""One shard while it is written: stopped at any moment, it can be resumed.

`NAME.part` holds the records so far, `NAME.journal` a line of JSON for each clip that is done: its
id, its file in the list, what its record is made of (the media file's name, range, size and date),
why it has no record, and what was lost in reading. Both are written before the next clip's turn, so
a process that is killed loses only the clip that it was working on. A clip whose file is no longer
what it was made of is made anew, and those after it.

A whole shard is renamed to `NAME`. `NAME.failures` and `NAME.warnings` (id, file, reason) stay
beside it until those of all shards are collected, the journal until the shard is in the index.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator

from mmat.shards.record import (
    FRAME_BYTES,
    Record,
    decode_example,
    encode_example,
    framed,
    whole_records,
)

PART_SUFFIX, JOURNAL_SUFFIX = ".part", ".journal"
FAILURES_SUFFIX, WARNINGS_SUFFIX = ".failures", ".warnings"
_CELLS = 5  # of a line of the journal
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass
class Counts:
    """What the records of a shard hold, and how many of its clips have none."""

    clips: int = 0
    failures: int = 0
    with_audio: int = 0
    with_video: int = 0
    n_image_labels: int = 0
    warnings: int = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.clips += 1
        self.with_audio += record.audio is not None
        self.with_video += record.image_probabilities is not None or bool(record.frames_jpeg)
        if record.image_probabilities is not None:
            self.n_image_labels = record.image_probabilities.shape[1]


class ShardFile:
    """A shard of given clips, resumed where an earlier run left it.

    ids: the shard's clips, in order. made_of: for each what its record would be made of now, as
    JSON; it is asked only for clips that are done. `n_done` of them are done: call `add` or `fail`
    for each of the others in turn, and then `finish`. As a context it closes its files; none is
    open before the first `add` or `fail`.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with ShardFile(folder, "a.tfrecord", ["x", "y"]) as shard:
    ...     shard.fail("x", "x.wav", "no such file")
    >>> with ShardFile(folder, "a.tfrecord", ["x", "y"]) as shard:
    ...     shard.n_done, shard.add(Record("y")), shard.finish()["clips"]
    (1, None, 1)
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        name: str,
        ids: Iterable[str],
        made_of: Iterable[object] | None = None,
    ):
        self.name = name
        self.counts = Counts()
        self.n_bytes = 0
        self._path = pathlib.Path(folder, name)
        self._part = pathlib.Path(folder, name + PART_SUFFIX)
        self._journal = pathlib.Path(folder, name + JOURNAL_SUFFIX)
        self._sha256, self._media_sha256 = hashlib.sha256(), hashlib.sha256()
        self._closing = contextlib.ExitStack()
        self._files: dict[pathlib.Path, int] = {}
        self._resume(ids, itertools.repeat(None) if made_of is None else made_of)

    def __enter__(self) -> "ShardFile":
        return self

    def __exit__(self, *error) -> None:
        self._closing.close()

    @property
    def n_done(self) -> int:
        """How many of the first clips are done."""
        return self.counts.clips + self.counts.failures

    @property
    def media_sha256(self) -> str:
        """A sha256 over what the clips that are done were made of."""
        return self._media_sha256.hexdigest()

    def _resume(self, ids: Iterable[str], made_of: Iterable[object]) -> None:
        """Count what is there, and cut off all from the first clip that is missing or changed."""
        if self._path.exists():  # whole, but the run was stopped before it was in the index
            os.replace(self._path, self._part)
        records, journal_bytes = whole_records(self._part), 0
        # In this order: what a clip would be made of is asked last.
        for clip_id, row, now in zip(ids, table_rows(self._journal, _CELLS), made_of, strict=False):
            if (row[0], row[2]) != (clip_id, _as_json(now)):
                break
            if row[3] is None:
                serialized = next(records, None)
                record = None if serialized is None else decode_example(serialized)
                if record is None or record.id != clip_id:
                    break
                self.counts.add(record)
                self.n_bytes += len(serialized) + FRAME_BYTES
            self._count(row)
            journal_bytes += len(_line(row))
        _cut(self._part, self.n_bytes)
        _cut(self._journal, journal_bytes)
        for block in _blocks(self._part):
            self._sha256.update(block)

    def _count(self, row: tuple) -> None:
        """Count a line of the journal, but for its record."""
        _, _, made_of, failure, warning = row
        self._media_sha256.update(json.dumps(made_of).encode())
        self.counts.failures += failure is not None
        self.counts.warnings += bool(warning)

    def add(
        self, record: Record, file: str = "", made_of: object = None, warning: str = ""
    ) -> None:
        """Append the record of the next clip.

        file: in the list. warning: what was lost in reading it, empty where nothing was.
        """
        content = framed(encode_example(record))
        self._append(self._part, content)
        self._sha256.update(content)
        self.n_bytes += len(content)
        self.counts.add(record)
        self._note(record.id, file, made_of, None, warning)

    def fail(self, clip_id: str, file: str, reason: str, made_of: object = None) -> None:
        """Record that the next clip has no record, and why."""
        self._note(clip_id, file, made_of, reason, "")

    def _note(self, *row) -> None:
        self._append(self._journal, _line(row))
        self._count(row)

    def finish(self) -> dict:
        """Give the shard its final name, and return its index entry."""
        for path in (self._part, self._journal):
            self._append(path, b"")  # every clip failed: a shard without records
            sync(path)
        self._closing.close()
        for suffix, cell in ((FAILURES_SUFFIX, 3), (WARNINGS_SUFFIX, 4)):
            rows = table_rows(self._journal, _CELLS)
            lines = b"".join(_line((row[0], row[1], row[cell])) for row in rows if row[cell])
            path = self._path.with_name(self.name + suffix)
            path.unlink(missing_ok=True)  # of a run that was stopped
            if lines:
                self._append(path, lines)
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


def table_rows(path: pathlib.Path, n_cells: int = 3) -> Iterator[tuple]:
    """Yield the rows of a journal, or of failures or warnings, up to one that is not whole."""
    if not path.exists():
        return
    with open(path, "rb") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                return
            if not line.endswith(b"\n") or not isinstance(row, list) or len(row) != n_cells:
                return
            yield tuple(row)


def sync(path: str | os.PathLike) -> None:
    """Wait until a file, or the names in a folder, are safe on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(row: Iterable[object]) -> bytes:
    return json.dumps(list(row)).encode() + b"\n"


def _as_json(value: object) -> object:
    """Return a value as it is read back: tuples are lists."""
    return json.loads(json.dumps(value))


def _cut(path: pathlib.Path, n_bytes: int) -> None:
    if path.exists() and path.stat().st_size > n_bytes:
        os.truncate(path, n_bytes)


def _blocks(path: pathlib.Path) -> Iterator[bytes]:
    if path.exists():
        with open(path, "rb") as file:
            yield from iter(lambda: file.read(_BLOCK_BYTES), b"")
