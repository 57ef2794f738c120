"""The folder that a run fills with shards, and what an earlier run left in it."""

import pathlib
import re
from collections.abc import Callable, Iterator

from mmat.data.locking import LOCK_FILE
from mmat.data.shard_file import FAILURES_SUFFIX, PART_SUFFIX, ShardFile
from mmat.data.shards import (
    FAILURES_FILE,
    INDEX_FILE,
    LABELS_FILE,
    Shard,
    index_splits,
    load_index,
    shard_entries,
    shard_names,
    write_failures,
    write_index,
)
from mmat.errors import InputError

JOBS_SUFFIX = ".jobs"  # what a Beam worker is to put in a shard
_SHARD_NAME = re.compile(r"\w+-\d{5,}-of-\d{5,}\.tfrecord")
_OTHER = {
    "schema_version": "of another schema version",
    "labels": "of other labels",
    "task": "of labels with another task",
    "list_sha256": "of another list",
}
_TO_REPLACE = "give another folder, or --overwrite (overwrite=True) to replace them"


def check_ours(folder: pathlib.Path) -> None:
    """Raise InputError for a folder that holds other things than shards."""
    begun = {LOCK_FILE, INDEX_FILE + PART_SUFFIX}  # all that is there before the first index
    if not folder.exists() or (folder / INDEX_FILE).is_file():
        return
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - begun:
        raise InputError(f"{folder}: holds something other than shards; give another folder")


class ShardFolder:
    """The shards of a plan in a folder: those that are whole, and those still to be made.

    about: what decides their content besides the media, as the index has it.
    """

    def __init__(self, path: pathlib.Path, about: dict, plan: list[Shard]):
        self.path = path
        self.about = about
        self.plan = plan
        self.entries: dict[str, dict] = {}  # of the shards that are whole, by name

    def resume(self, overwrite: bool, media_of: Callable[[Shard], str]) -> bool:
        """Find out what an earlier run left here, and return whether it is all there is to do.

        media_of: what tells a shard's media from changed ones. A shard that is missing or cut off
        is to be made again. Raises InputError for shards of other clips, settings or media; with
        `overwrite` they are removed instead.
        """
        if not (self.path / INDEX_FILE).is_file():
            return False
        index = load_index(self.path)
        if index.get("complete") and not any(split["clips"] for split in index["splits"].values()):
            _remove(self.path, index)  # nothing could be read: every clip is tried again
            return False
        other = self._difference(index)
        if other and not overwrite:
            raise InputError(f"{self.path}: holds shards {other}; {_TO_REPLACE}")
        if other:
            _remove(self.path, index)
            return False
        known = {entry["name"]: entry for entry in shard_entries(index)}
        kept = {name for name, entry in known.items() if self._size(name) == entry["bytes"]}
        if index["complete"]:
            changed = [
                shard.name
                for shard in self.plan
                if shard.name in kept and media_of(shard) != known[shard.name]["media_sha256"]
            ]
            if changed and not overwrite:
                raise InputError(
                    f"{self.path}: the media of {len(changed)} of its {len(self.plan)} shards "
                    f"have changed, first those of {changed[0]}; {_TO_REPLACE}"
                )
            kept.difference_update(changed)
        self.entries = {name: known[name] for name in kept}
        for name in known.keys() - kept:
            _remove_shard(self.path, name)
        return index["complete"] and len(kept) == len(self.plan)

    def _size(self, name: str) -> int | None:
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def _difference(self, index: dict) -> str:
        """Say what an index has other than this plan; empty if nothing."""
        for key, value in self.about.items():
            if index.get(key) != value:
                return _OTHER.get(key) or f"made with {key} {index.get(key)}, not {value}"
        return ""

    def waiting(self) -> Iterator[tuple[Shard, ShardFile]]:
        """Yield the shards that are not whole, and what is there of them."""
        for shard in self.plan:
            if shard.name not in self.entries:
                ids = [clip.id for clip in shard.clips]
                yield shard, ShardFile(self.path, shard.name, ids)

    def add(self, entry: dict) -> None:
        """Enter a shard that is whole; the index is written anew."""
        self.entries[entry["name"]] = entry
        self.save(complete=False)

    def save(self, complete: bool) -> dict:
        """Write the index, and return it."""
        splits = index_splits(self.plan, self.entries)
        index = {
            **self.about,
            "complete": complete,
            "n_image_labels": max((e["n_image_labels"] for e in self.entries.values()), default=0),
            "failures": sum(split["failures"] for split in splits.values()),
            "splits": splits,
        }
        write_index(self.path, index)
        return index

    def finish(self) -> dict:
        """Put the failures together, write the finished index, and return it."""
        for shard in self.plan:  # of a pipeline that was killed
            (self.path / (shard.name + JOBS_SUFFIX)).unlink(missing_ok=True)
        write_failures(self.path, [shard.name for shard in self.plan])
        return self.save(complete=True)


def _remove(folder: pathlib.Path, index: dict) -> None:
    """Remove what an index tells to be ours, the index last, so that a stop leaves no riddle."""
    for split, entry in index["splits"].items():
        names = {file["name"] for file in entry["files"]}
        for name in names.union(shard_names(split, entry.get("shards", 0))):
            if _SHARD_NAME.fullmatch(name):
                _remove_shard(folder, name)
    for name in (LABELS_FILE, FAILURES_FILE, INDEX_FILE):
        (folder / name).unlink(missing_ok=True)


def _remove_shard(folder: pathlib.Path, name: str) -> None:
    for suffix in ("", PART_SUFFIX, FAILURES_SUFFIX, JOBS_SUFFIX):
        (folder / (name + suffix)).unlink(missing_ok=True)
