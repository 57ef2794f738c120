"""The folder of shards: `{split}-00000-of-00004.tfrecord` …, `index.json`, and tables beside it.

`docs/shards.md` describes it. Clip number i of a split is in shard i modulo the number of shards,
so reading one record of every shard in turn gives the order of the list. `ShardFolder` is the
folder while it is filled, with what an earlier run left in it.
"""

import contextlib
import csv
import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator

from mmat.files import LOCK_FILE, InputError, one_line
from mmat.lists.clip import Clip
from mmat.shards.frozen import ENCODER
from mmat.shards.index import ADDING, SUMMED, parsed_index, shard_entries
from mmat.shards.record import SCHEMA_VERSION
from mmat.shards.writer import (
    FAILURES_SUFFIX,
    JOURNAL_SUFFIX,
    PART_SUFFIX,
    WARNINGS_SUFFIX,
    ShardFile,
    sync,
    table_rows,
)

INDEX_FILE = "index.json"
FAILURES_FILE, WARNINGS_FILE = "failures.csv", "warnings.csv"
LABELS_FILE = "labels.csv"
JOBS_SUFFIX = ".jobs"  # the clips that a Beam worker puts in a shard
NEW_SUFFIX = ".new"  # a shard with an encoder's outputs, before it replaces the old one
NEW_SUFFIXES = (NEW_SUFFIX, NEW_SUFFIX + PART_SUFFIX, NEW_SUFFIX + JOURNAL_SUFFIX)
_SHARD_NAME = re.compile(r"\w+-\d{5,}-of-\d{5,}\.tfrecord")
_OTHER = {
    "schema_version": "of another schema version",
    "labels": "of other labels",
    "task": "of labels with another task",
    "list_sha256": "of another list",
}
_TO_REPLACE = "give another folder, or --overwrite (overwrite=True) to replace them"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A planned shard: the name of its file, its split, and its clips in order."""

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
    """Distribute the clips of every split over as few shards as hold them.

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


def load_index(folder: str | os.PathLike) -> dict:
    """Return the index of a folder of shards, finished or not, without checking its files.

    Raises InputError for a missing index, and for one with a field that no shards have.
    """
    path = pathlib.Path(folder, INDEX_FILE)
    if not path.parent.is_dir():
        raise InputError(f"{folder}: no such folder of shards; make it with mmat prepare")
    try:
        return parsed_index(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no {INDEX_FILE}, so it is no folder of shards") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({one_line(error)}); remove the folder and run mmat prepare again"
        ) from error


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


def shard_files(folder: str | os.PathLike, index: dict, split: str) -> list[str]:
    """Return the paths of a split's shards; raises InputError for a split without clips."""
    if not index["splits"].get(split, {}).get("clips"):
        known = ", ".join(index["splits"]) or "none"
        raise InputError(f"{folder}: no clips of a split {split!r}; its splits: {known}")
    return [os.path.join(folder, file["name"]) for file in index["splits"][split]["files"]]


def check_ours(folder: pathlib.Path) -> None:
    """Raise InputError for a folder that holds other things than shards."""
    begun = {LOCK_FILE, INDEX_FILE + PART_SUFFIX}  # all that exists before the first index
    if not folder.exists() or (folder / INDEX_FILE).is_file():
        return
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - begun:
        raise InputError(f"{folder}: holds something other than shards; give another folder")


class ShardFolder:
    """The shards of a plan in a folder: those that are whole, and those still to be made.

    about: what decides their content besides the media, by its name in the index. adding: the
    index's entries of the audio encoder that is being added to finished shards, and the names of
    those that are `done`.
    """

    def __init__(self, path: pathlib.Path, about: dict, plan: list[Shard]):
        self.path = path
        self.about = about
        self.plan = plan
        self.adding: dict | None = None
        self.entries: dict[str, dict] = {}  # of the shards that are whole, by name

    def resume(self, overwrite: bool, media_of: Callable[[Shard], str] | None) -> bool:
        """Find out what an earlier run left here, and return whether it is complete.

        media_of: `media_sha256` of a shard, None where the media may be absent or others. A shard
        that is missing or cut off is made again; not while an encoder is added, when shards differ.
        So is, in a folder that is unfinished, a shard whose media have changed. Raises InputError
        for shards of other clips or settings, and in a finished folder of other media; with
        `overwrite` they are removed instead.
        """
        if not (self.path / INDEX_FILE).is_file():
            return False
        index = load_index(self.path)
        if index.get("complete") and not any(split["clips"] for split in index["splits"].values()):
            _remove(self.path, index)  # nothing could be read: every clip is tried again
            return False
        other = self._difference(index)
        if overwrite and ADDING in index:
            other = "to which an audio encoder is being added"
        if other and not overwrite:
            raise InputError(f"{self.path}: holds shards {other}; {_TO_REPLACE}")
        if other:
            _remove(self.path, index)
            return False
        known = {entry["name"]: entry for entry in shard_entries(index)}
        if ADDING in index:
            self.adding, self.entries = index[ADDING], known
            self._check_adding()
            return True
        kept = {name for name, entry in known.items() if self._size(name) == entry["bytes"]}
        if media_of is not None:
            changed = [
                shard.name
                for shard in self.plan
                if shard.name in kept and media_of(shard) != known[shard.name].get("media_sha256")
            ]
            if changed and index["complete"] and not overwrite:
                raise InputError(
                    f"{self.path}: the media of {len(changed)} of its {len(self.plan)} shards "
                    f"have changed, first those of {changed[0]}; {_TO_REPLACE}"
                )
            kept.difference_update(changed)
        self.entries = {name: known[name] for name in kept}
        for name in known.keys() - kept:
            _remove_shard(self.path, name)
        return index["complete"] and len(kept) == len(self.plan)

    def _check_adding(self) -> None:
        for name, entry in self.entries.items():
            sizes = {self._size(name), self._size(name + NEW_SUFFIX)}
            if entry["bytes"] not in sizes:
                raise InputError(
                    f"{self.path / name}: the shard is missing or cut off, and an audio encoder is "
                    f"being added; {_TO_REPLACE}"
                )

    def _size(self, name: str) -> int | None:
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def _difference(self, index: dict) -> str:
        """Return how an index differs from this plan, in words; empty if it does not."""
        # An index names no encoder where there is none.
        for key, value in ({ENCODER: None} | self.about).items():
            if index.get(key) != value:
                found, wanted = _shown(index.get(key)), _shown(value)
                return _OTHER.get(key) or f"made with {key} {found}, not {wanted}"
        return ""

    def waiting(
        self, made_of: Callable[[Shard], Iterable[object]]
    ) -> Iterator[tuple[Shard, ShardFile]]:
        """Yield the shards that are not whole, and their files as far as they are written.

        made_of: what the records of a shard would be made of now, as `ShardFile` takes it.
        """
        for shard in self.plan:
            if shard.name not in self.entries:
                ids = [clip.id for clip in shard.clips]
                yield shard, ShardFile(self.path, shard.name, ids, made_of(shard))

    def add(self, entry: dict) -> None:
        """Record a shard that is whole; the index is written again."""
        self.entries[entry["name"]] = entry
        self.save(complete=False)
        (self.path / (entry["name"] + JOURNAL_SUFFIX)).unlink(missing_ok=True)

    def save(self, complete: bool) -> dict:
        """Write the index, and return it."""
        splits = index_splits(self.plan, self.entries)
        index = {
            **self.about,
            "complete": complete,
            **({ADDING: self.adding} if self.adding else {}),
            "n_image_labels": max((e["n_image_labels"] for e in self.entries.values()), default=0),
            "failures": sum(split["failures"] for split in splits.values()),
            # Shards of old have no count of them.
            "warnings": sum(entry.get("warnings", 0) for entry in self.entries.values()),
            "splits": splits,
        }
        write_index(self.path, index)
        return index

    def finish(self) -> dict:
        """Write the tables and the finished index, and return the index."""
        for shard in self.plan:  # of a run that was killed
            for suffix in (JOBS_SUFFIX, JOURNAL_SUFFIX):
                (self.path / (shard.name + suffix)).unlink(missing_ok=True)
        write_tables(self.path, [shard.name for shard in self.plan])
        return self.save(complete=True)


def index_splits(plan: Iterable[Shard], entries: dict[str, dict]) -> dict[str, dict]:
    """Return the index's splits: what is planned, the shards that are whole, and their sums.

    entries: by the shard's name, as `ShardFile.finish` returns them.
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
    """Write the index of a folder of shards, atomically."""
    text = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
    with replacing(pathlib.Path(folder, INDEX_FILE)) as part:
        part.write_text(text, encoding="utf-8")


def write_tables(folder: str | os.PathLike, names: Iterable[str]) -> None:
    """Write one table of the failures and one of the warnings that lie beside these shards."""
    names = list(names)
    _write_table(folder, FAILURES_FILE, "reason", [name + FAILURES_SUFFIX for name in names])
    _write_table(folder, WARNINGS_FILE, "warning", [name + WARNINGS_SUFFIX for name in names])


def _write_table(folder: str | os.PathLike, name: str, what: str, parts: Iterable[str]) -> None:
    with (
        replacing(pathlib.Path(folder, name)) as new,
        open(new, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "file", what))
        for part in parts:
            table.writerows(table_rows(pathlib.Path(folder, part)))


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a path beside `path`; its file then replaces that at `path`, and is safe on disk."""
    part = path.with_name(path.name + PART_SUFFIX)
    yield part
    sync(part)
    os.replace(part, path)
    sync(path.parent)


def _remove(folder: pathlib.Path, index: dict) -> None:
    """Remove the files of an index, the index last, so that a run can be stopped meanwhile."""
    for split, entry in index["splits"].items():
        names = {file["name"] for file in entry["files"]}
        for name in names.union(shard_names(split, entry.get("shards", 0))):
            if _SHARD_NAME.fullmatch(name):
                _remove_shard(folder, name)
    for name in (LABELS_FILE, FAILURES_FILE, WARNINGS_FILE, INDEX_FILE):
        (folder / name).unlink(missing_ok=True)


def _shown(value: object) -> object:
    # Of an encoder also its sha256, since its name may stay while its weights change.
    return f"{value['name']} ({value['sha256'][:8]})" if isinstance(value, dict) else value


def _remove_shard(folder: pathlib.Path, name: str) -> None:
    tables = FAILURES_SUFFIX, WARNINGS_SUFFIX
    for suffix in ("", PART_SUFFIX, JOURNAL_SUFFIX, *tables, JOBS_SUFFIX, *NEW_SUFFIXES):
        (folder / (name + suffix)).unlink(missing_ok=True)
