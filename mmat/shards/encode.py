"""An audio encoder's outputs are added to finished shards: from the sound in them, not the media.

Each shard is written anew beside the old one, which it then replaces. The index says meanwhile
which encoder is being added, and to which shards it was. Stopped at any moment, the adding goes on
when it is started again with the same encoder; with another, it starts anew with that.
"""

import itertools
import os
import pathlib

import tqdm

from mmat.files import InputError
from mmat.pretrained.registry import AudioEncoder
from mmat.shards.clip_job import with_encoder
from mmat.shards.folder import NEW_SUFFIX, NEW_SUFFIXES, Shard, ShardFolder
from mmat.shards.frozen import ENCODER
from mmat.shards.record import decode_example, whole_records
from mmat.shards.writer import JOURNAL_SUFFIX, ShardFile, sync

_OF_THE_MEDIA = ("name", "failures", "warnings")  # what an entry keeps


def add_encoder(folder: ShardFolder, encoder: AudioEncoder, entries: dict, progress: bool) -> dict:
    """Put an encoder's outputs, and the source groups, in every shard; return the index.

    folder: resumed, with all of its shards whole. entries: of the index, as
    `PrepareConfig.frozen_entries` gives them. Raises InputError where the encoder cannot be loaded,
    or a shard is damaged.
    """
    encoder.load()  # raises before anything is written
    if progress and ENCODER in folder.about:
        before, after = folder.about[ENCODER]["name"], encoder.name
        print(f"{folder.path}: outputs of the audio encoder {before} are replaced by {after}'s")
    _begin(folder, entries)
    disable = None if progress else True  # None: shown on a terminal only
    n_clips = sum(entry["clips"] for entry in folder.entries.values())
    with tqdm.tqdm(desc="encode", total=n_clips, unit=" clips", disable=disable) as bar:
        for shard in folder.plan:
            if shard.name not in folder.adding["done"]:
                entry = _encoded(folder, shard, encoder, bar)
                folder.adding["done"].append(shard.name)
                folder.add(entry)
            else:
                bar.update(folder.entries[shard.name]["clips"])
            _replace(folder.path, shard.name)
    folder.about = with_entries(folder.about, entries)
    folder.adding = None
    return folder.finish()


def with_entries(about: dict, entries: dict) -> dict:
    """Return what an index says, with these entries of frozen networks before the list's sha256."""
    kept = {name: value for name, value in about.items() if name not in entries}
    last = "list_sha256"
    return {n: kept[n] for n in kept if n != last} | entries | {last: kept[last]}


def _begin(folder: ShardFolder, entries: dict) -> None:
    """Go on with the adding of the same encoder; else remove what is left of another's."""
    if folder.adding is None or folder.adding["entries"] != entries:
        for shard in folder.plan:
            # One that was entered in the index must be in its place.
            if folder.adding is not None and shard.name in folder.adding["done"]:
                _replace(folder.path, shard.name)
            for suffix in NEW_SUFFIXES:
                (folder.path / (shard.name + suffix)).unlink(missing_ok=True)
        folder.adding = {"entries": entries, "done": []}
        folder.save(complete=False)


def _encoded(folder: ShardFolder, shard: Shard, encoder: AudioEncoder, bar: tqdm.tqdm) -> dict:
    """Write a shard anew beside the old one, and return its entry of the index."""
    path, old = folder.path / shard.name, folder.entries[shard.name]
    groups = {clip.id: clip.source_groups for clip in shard.clips}
    ids = [decode_example(serialized).id for serialized in whole_records(path)]
    if len(ids) != old["clips"] or not groups.keys() >= set(ids):
        raise InputError(f"{path}: the shard is damaged; mmat prepare --verify tells how")
    with ShardFile(folder.path, path.name + NEW_SUFFIX, ids) as file:
        bar.update(file.n_done)
        for serialized in itertools.islice(whole_records(path), file.n_done, None):
            record = decode_example(serialized)
            file.add(with_encoder(record, encoder, groups[record.id]))
            bar.update()
        entry = file.finish()
    return old | {key: entry[key] for key in entry if key not in _OF_THE_MEDIA}


def _replace(folder: pathlib.Path, name: str) -> None:
    """Put a shard in the old one's place, if it is not there yet."""
    new = folder / (name + NEW_SUFFIX)
    if new.exists():
        os.replace(new, folder / name)
        sync(folder)
    new.with_name(new.name + JOURNAL_SUFFIX).unlink(missing_ok=True)
