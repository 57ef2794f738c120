"""Verification of a folder of shards: every byte and every record of it is read."""

import csv
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tqdm
from google.protobuf.message import DecodeError

from mmat.files import InputError
from mmat.labels import LabelSet, task_entry
from mmat.shards.folder import (
    FAILURES_FILE,
    INDEX_FILE,
    LABELS_FILE,
    NEW_SUFFIX,
    WARNINGS_FILE,
    load_index,
    shard_names,
)
from mmat.shards.frozen import ENCODER, frozen_shapes, kept_encoder
from mmat.shards.index import ADDING, SUMMED, shard_entries
from mmat.shards.record import MATRICES, SCHEMA_VERSION, Record, decode_example, whole_records
from mmat.shards.writer import PART_SUFFIX, Counts

_JPEG_BEGINS = b"\xff\xd8"


@dataclasses.dataclass(frozen=True)
class Verified:
    """What a folder of shards was found to hold.

    listed: clips of the list. clips: those in whole shards. begun: those in shards that are not
    whole yet. failures: clips that could not be used. shards: whole ones, of shards_planned.
    """

    complete: bool
    listed: int
    clips: int
    begun: int
    failures: int
    with_audio: int
    with_video: int
    shards: int
    shards_planned: int
    n_bytes: int


def verify(folder: str | os.PathLike, progress: bool = True) -> Verified:
    """Read a folder of shards, finished or not, and return what it holds.

    It checks every shard's size, sha256 and counts; every record's checksums and fields, and that
    its id occurs once; the sums in the index, the table of failures, and the labels. Raises
    InputError that names the file, and the record, where something is wrong.
    """
    folder = pathlib.Path(folder)
    index = load_index(folder)
    if index["schema_version"] != SCHEMA_VERSION or "complete" not in index:
        raise InputError(f"{folder / INDEX_FILE}: of another version of mmat; prepare it again")
    labels = LabelSet.from_csv(folder / LABELS_FILE)
    if labels.names != tuple(index["labels"]):
        raise InputError(f"{folder / LABELS_FILE}: other labels than in {INDEX_FILE}")
    if task_entry(labels.task) != index.get("task"):
        raise InputError(f"{folder / LABELS_FILE}: another task than in {INDEX_FILE}")
    splits = index["splits"].values()
    listed = sum(split["listed"] for split in splits)
    ids: set[str] = set()
    disable = None if progress else True
    with tqdm.tqdm(desc="verify", total=listed, unit=" clips", disable=disable) as bar:
        for entry in shard_entries(index):
            path, of_shard = _where(folder, entry, index)
            _check_shard(path, entry, of_shard, ids, bar)
    sums = {key: sum(split[key] for split in splits) for key in SUMMED}
    if index["complete"]:
        _check_sums(folder, index, sums, listed)
    return Verified(
        complete=index["complete"],
        listed=listed,
        begun=_n_begun(folder, index),
        shards=len(shard_entries(index)),
        shards_planned=sum(split["shards"] for split in splits),
        n_bytes=sum(entry["bytes"] for entry in shard_entries(index)),
        **sums,
    )


def _where(folder: pathlib.Path, entry: dict, index: dict) -> tuple[pathlib.Path, dict]:
    """Return the file of a shard, and the index as it is for that: with an added encoder or not."""
    path, adding = folder / entry["name"], index.get(ADDING)
    if adding is None or entry["name"] not in adding["done"]:
        return path, index
    new = path.with_name(path.name + NEW_SUFFIX)  # a run was stopped before it replaced the old
    return new if new.exists() else path, index | adding["entries"]


def _check_shard(
    path: pathlib.Path, entry: dict, index: dict, ids: set[str], bar: tqdm.tqdm
) -> None:
    if not path.is_file():
        raise InputError(f"{path}: the shard is missing")
    counts = Counts(failures=entry["failures"], warnings=entry.get("warnings", 0))
    for number, record in enumerate(_records(path)):
        wrong = _wrong(record, index) or ("its id is there twice" if record.id in ids else "")
        if wrong:
            raise InputError(f"{path}: record {number} (id {record.id!r}): {wrong}")
        ids.add(record.id)
        counts.add(record)
        bar.update()
    for key, count in dataclasses.asdict(counts).items():
        if count != entry.get(key, 0):
            raise InputError(f"{path}: {key} {count}, but {entry[key]} in {INDEX_FILE}")
    if path.stat().st_size != entry["bytes"]:
        raise InputError(f"{path}: {path.stat().st_size} bytes, but {entry['bytes']} in the index")
    with open(path, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
            raise InputError(f"{path}: its sha256 is not that of {INDEX_FILE}")


def _records(path: pathlib.Path) -> Iterator[Record]:
    serialized = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    number = 0
    while True:
        try:
            record = decode_example(next(serialized))
        except StopIteration:
            return
        except (tf.errors.DataLossError, DecodeError, LookupError, ValueError) as error:
            cut = isinstance(error, tf.errors.DataLossError)
            what = "a checksum is wrong, or it is cut off" if cut else "not of this schema"
            raise InputError(f"{path}: record {number}: damaged: {what}") from error
        yield record
        number += 1


def _wrong(record: Record, index: dict) -> str:
    """Return what is wrong with a record's fields, in words; empty if nothing is."""
    n_labels, seconds = len(index["labels"]), index["clip_seconds"]
    if not all(0 <= label < n_labels for label in record.labels):
        return f"a label outside of the {n_labels}"
    if len(record.values) not in (0, len(record.labels)):
        return f"{len(record.values)} values of {len(record.labels)} labels"
    for label, onset, offset in record.events:
        if not (0 <= label < n_labels and 0 <= onset < offset):
            return f"an event of label {label} from {onset:g} to {offset:g} s"
    if record.audio is not None and seconds is not None:
        n_samples = round(seconds * index["sample_rate_hz"])
        if len(record.audio) != n_samples:
            return f"{len(record.audio)} samples, not {n_samples}"
    if record.image_probabilities is not None:
        shape = (index["n_frames"], index["n_image_labels"])
        if record.image_probabilities.shape != shape:
            return f"image probabilities of shape {record.image_probabilities.shape}, not {shape}"
        if not np.isfinite(record.image_probabilities).all():
            return "image probabilities that are no finite numbers"
    if wrong := _wrong_of_frozen(record, index):
        return wrong
    if len(record.frames_jpeg) not in (0, index["n_frames"]):
        return f"{len(record.frames_jpeg)} pictures, not {index['n_frames']}"
    if not all(picture.startswith(_JPEG_BEGINS) for picture in record.frames_jpeg):
        return "a picture that is no JPEG"
    return ""


def _wrong_of_frozen(record: Record, index: dict) -> str:
    """Return what is wrong with the outputs of frozen networks; empty if nothing is."""
    shapes = frozen_shapes(index)
    for name in MATRICES:
        matrix, shape = getattr(record, name), shapes.get(name)
        sense = record.image_probabilities if name == "image_embeddings" else record.audio
        if (matrix is not None) != (shape is not None and sense is not None):
            return f"{name} {'missing' if matrix is None else 'that the index does not name'}"
        if matrix is None:
            continue
        n_rows = shape[0] or kept_encoder(index).n_patches(len(record.audio))
        wanted = (n_rows, shape[1])
        if matrix.shape != wanted:
            return f"{name} of shape {matrix.shape}, not {wanted}"
        if not np.isfinite(matrix).all():
            return f"{name} that are no finite numbers"
    if bool(record.source_groups) != (index.get(ENCODER) is not None):
        return "source groups missing" if index.get(ENCODER) else "source groups without an encoder"
    return ""


def _check_sums(folder: pathlib.Path, index: dict, sums: dict[str, int], listed: int) -> None:
    found = {key: sum(entry[key] for entry in shard_entries(index)) for key in SUMMED}
    for key, total in sums.items():
        if total != found[key]:
            raise InputError(f"{folder / INDEX_FILE}: {key} {total}, but its shards {found[key]}")
    if sums["clips"] + sums["failures"] != listed:
        raise InputError(f"{folder / INDEX_FILE}: not all of the {listed} clips are accounted for")
    _check_table(folder / FAILURES_FILE, sums["failures"])
    if "warnings" in index:  # shards of old have none
        _check_table(folder / WARNINGS_FILE, index["warnings"])


def _check_table(path: pathlib.Path, n_expected: int) -> None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            n_rows = sum(1 for _ in csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if n_rows != n_expected:
        raise InputError(f"{path}: {n_rows} rows, but {n_expected} in {INDEX_FILE}")


def _n_begun(folder: pathlib.Path, index: dict) -> int:
    names = (n for s, entry in index["splits"].items() for n in shard_names(s, entry["shards"]))
    return sum(1 for name in names for _ in whole_records(folder / (name + PART_SUFFIX)))
