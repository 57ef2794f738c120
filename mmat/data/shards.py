"""The folder of shards: `{split}-00000-of-00004.tfrecord` …, `index.json`, `failures.csv`.

`docs/shards.md` describes it. Clip number i of a split is in shard i modulo the number of shards,
so reading one record of every shard in turn gives the order of the list.
"""

import contextlib
import csv
import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable, Iterator

from mmat.data.clips import Clip
from mmat.data.records import SCHEMA_VERSION
from mmat.data.shard_file import FAILURES_SUFFIX, PART_SUFFIX, failure_rows, sync
from mmat.errors import InputError

INDEX_FILE = "index.json"
FAILURES_FILE = "failures.csv"
LABELS_FILE = "labels.csv"
SUMMED = ("clips", "failures", "with_audio", "with_video")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A shard that is to be: the name of its file, its split, and its clips in order."""

    name: str
    split: str
    clips: list[Clip]


def shard_names(split: str, n_shards: int) -> list[str]:
    """Return the names of a split's shards.

    >>> shard_names("train", 2)
    ['train-00000-of-00002.tfrecord', 'train-00001-of-00002.tfrecord']
    """
    return [f"{split}-{i:05}-of-{n_shards:05}.tfrecord" for i in range(n_shards)]


def plan_shards(clips: Iterable[Clip], clips_per_shard: int) -> list[Shard]:
    """Deal the clips of every split to as few shards as hold them.

    >>> clips = [Clip(str(i), f"{i}.wav") for i in range(5)]
    >>> [[clip.id for clip in shard.clips] for shard in plan_shards(clips, 2)]
    [['0', '3'], ['1', '4'], ['2']]
    """
    of_split: dict[str, list[Clip]] = {}
    for clip in clips:
        of_split.setdefault(clip.split, []).append(clip)
    plan = []
    for split, members in of_split.items():
        names = shard_names(split, math.ceil(len(members) / clips_per_shard))
        plan += [Shard(name, split, members[i :: len(names)]) for i, name in enumerate(names)]
    return plan


def index_splits(plan: Iterable[Shard], entries: dict[str, dict]) -> dict[str, dict]:
    """Return the index's splits: what is planned, the shards that are whole, and their sums.

    entries: by the shard's name, what `ShardFile.finish` returned.
    """
    splits: dict[str, dict] = {}
    for shard in plan:
        split = splits.setdefault(
            shard.split, {"listed": 0, "shards": 0, **dict.fromkeys(SUMMED, 0), "files": []}
        )
        split["listed"] += len(shard.clips)
        split["shards"] += 1
        if shard.name in entries:
            entry = entries[shard.name]
            split["files"].append(entry)
            for key in SUMMED:
                split[key] += entry[key]
    return splits


def write_index(folder: str | os.PathLike, index: dict) -> None:
    """Write the index of a folder of shards; whenever it is read, it is the old or the new one."""
    text = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
    with replacing(pathlib.Path(folder, INDEX_FILE)) as part:
        part.write_text(text, encoding="utf-8")


def write_failures(folder: str | os.PathLike, names: Iterable[str]) -> None:
    """Put the failures that lie beside the shards together in one table, in this order."""
    folder = pathlib.Path(folder)
    with (
        replacing(folder / FAILURES_FILE) as part,
        open(part, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "file", "reason"))
        for name in names:
            table.writerows(failure_rows(folder / (name + FAILURES_SUFFIX)))


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a path beside `path`, whose file then takes its place and would outlive a power cut."""
    part = path.with_name(path.name + PART_SUFFIX)
    yield part
    sync(part)
    os.replace(part, path)
    sync(path.parent)


def load_index(folder: str | os.PathLike) -> dict:
    """Return the index of a folder of shards, finished or not, without a look at its files.

    Raises InputError for a missing or damaged index.
    """
    path = pathlib.Path(folder, INDEX_FILE)
    if not path.parent.is_dir():
        raise InputError(f"{folder}: no such folder of shards; make it with mmat prepare")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        _ = index["schema_version"], [(e["name"], e["bytes"]) for e in shard_entries(index)]
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no {INDEX_FILE}, so it is no folder of shards") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = " ".join(str(error).split())
        raise InputError(
            f"{path}: damaged ({what}); remove the folder and run mmat prepare again"
        ) from error
    return index


def read_index(folder: str | os.PathLike) -> dict:
    """Return the index of a finished folder of shards, whose files are there and whole in size.

    Raises InputError for a missing, damaged or unfinished folder and another schema version.
    """
    folder = pathlib.Path(folder)
    index = load_index(folder)
    version = index["schema_version"]
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{folder / INDEX_FILE}: schema version {version}, this mmat reads {SCHEMA_VERSION}; "
            "prepare it again"
        )
    if not index.get("complete", True):
        raise InputError(f"{folder}: unfinished; run the same mmat prepare command again")
    for entry in shard_entries(index):
        shard = folder / entry["name"]
        if not shard.is_file():
            raise InputError(f"{shard}: the shard is missing; run mmat prepare again")
        if shard.stat().st_size != entry["bytes"]:
            raise InputError(f"{shard}: not as long as {INDEX_FILE} says; run mmat prepare again")
    return index


def shard_entries(index: dict) -> list[dict]:
    """Return what an index knows of every shard."""
    return [entry for split in index["splits"].values() for entry in split["files"]]


def shard_files(folder: str | os.PathLike, index: dict, split: str) -> list[str]:
    """Return the paths of a split's shards; raises InputError for a split without clips."""
    if not index["splits"].get(split, {}).get("clips"):
        known = ", ".join(index["splits"]) or "none"
        raise InputError(f"{folder}: no clips of a split {split!r}; its splits: {known}")
    return [os.path.join(folder, file["name"]) for file in index["splits"][split]["files"]]
