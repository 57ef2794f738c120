"""The folder of shards: `{split}-00000-of-00004.tfrecord` …, `index.json`, `failures.csv`."""

import csv
import hashlib
import json
import os
import pathlib

import tensorflow as tf

from mmat.data.records import SCHEMA_VERSION, Record, encode_example
from mmat.errors import InputError

INDEX_FILE = "index.json"
FAILURES_FILE = "failures.csv"


class SplitWriter:
    """Writes the records of one split, in turn, to its shards; `close` gives the index entry."""

    def __init__(self, folder: pathlib.Path, split: str, n_shards: int):
        self.paths = [folder / f"{split}-{i:05}-of-{n_shards:05}.tfrecord" for i in range(n_shards)]
        self.clips = [0] * n_shards
        self.with_audio = self.with_video = 0
        self._writers = [tf.io.TFRecordWriter(str(path)) for path in self.paths]

    def write(self, record: Record) -> None:
        """Append a record to the next shard."""
        serialized = encode_example(record)
        shard = sum(self.clips) % len(self.paths)
        self._writers[shard].write(serialized)
        self.clips[shard] += 1
        self.with_audio += record.audio is not None
        self.with_video += record.image_probabilities is not None or bool(record.frames_jpeg)

    def close(self) -> dict:
        """Close the shards and return the split's entry of the index."""
        for writer in self._writers:
            writer.close()
        return {
            "clips": sum(self.clips),
            "with_audio": self.with_audio,
            "with_video": self.with_video,
            "files": [
                {
                    "name": path.name,
                    "clips": clips,
                    "bytes": path.stat().st_size,
                    "sha256": _sha256(path),
                }
                for path, clips in zip(self.paths, self.clips, strict=True)
            ],
        }


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_index(folder: pathlib.Path, index: dict) -> None:
    """Write the index of a folder of shards."""
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (folder / INDEX_FILE).write_text(text + "\n", encoding="utf-8")


def write_failures(folder: pathlib.Path, failures: list[tuple[str, str]]) -> None:
    """Write (file, reason) of every clip that could not be read."""
    with open(folder / FAILURES_FILE, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("file", "reason"), *failures])


def read_index(folder: str | os.PathLike) -> dict:
    """Return the index of a folder of shards, whose files must all be there and whole in size.

    Raises InputError for a missing or damaged folder and for another schema version.
    """
    folder = pathlib.Path(folder)
    path = folder / INDEX_FILE
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of shards; make it with mmat prepare")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        version = index["schema_version"]
        files = [file for split in index["splits"].values() for file in split["files"]]
        sizes = {file["name"]: file["bytes"] for file in files}
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no {INDEX_FILE}, so it is no folder of shards") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error}); run mmat prepare again") from error
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema version {version}, this mmat reads {SCHEMA_VERSION}; prepare it again"
        )
    for name, size in sizes.items():
        shard = folder / name
        if not shard.is_file():
            raise InputError(f"{shard}: the shard is missing; run mmat prepare again")
        if shard.stat().st_size != size:
            raise InputError(f"{shard}: not as long as {INDEX_FILE} says; run mmat prepare again")
    return index


def shard_files(folder: str | os.PathLike, index: dict, split: str) -> list[str]:
    """Return the paths of a split's shards; raises InputError for a split without clips."""
    if not index["splits"].get(split, {}).get("clips"):
        known = ", ".join(index["splits"]) or "none"
        raise InputError(f"{folder}: no clips of a split {split!r}; its splits: {known}")
    return [os.path.join(folder, file["name"]) for file in index["splits"][split]["files"]]
