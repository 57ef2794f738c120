"""What lies in a LiteRT (TensorFlow Lite) file beside the network, for the file is a zip archive.

As TensorFlow's own metadata does, members are appended to the network: runtimes read from the
front, `unzip` from the back. `facts.json` and `labels.csv` say what the model is, `README.md` is
its card, `label_maps.npz` holds the names behind its labels, `images.tflite` the image network.

A zip archive checks its own members alone, so a checksum of the network is among the facts. It is a
CRC-32 as theirs, which takes a third of a SHA-256's time and is for damage, not against forgers.
"""

import csv
import dataclasses
import io
import json
import os
import pathlib
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from mmat.export.served import Facts
from mmat.files import InputError, check_zip
from mmat.labels import MULTI_LABEL, LabelSet, Task

FORMAT = 1  # of what is described here; a file without one is older
FACTS_FILE, LABELS_FILE, CARD_FILE = "facts.json", "labels.csv", "README.md"
CHECKSUM = "network_crc32"  # among the facts; earlier files do not say it
MAPS_FILE, IMAGES_FILE = "label_maps.npz", "images.tflite"
# What `zipfile`, `json`, NumPy and those who take facts of other types raise.
DAMAGES = (ValueError, TypeError, AttributeError, LookupError, RuntimeError, OSError, EOFError)
DAMAGES += (struct.error, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Archive:
    """The members of a file: facts, label maps by name as `ServedModel` has them, image network."""

    facts: Facts
    label_maps: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    images: bytes = b""

    def append_to(self, path: str | os.PathLike, card: str) -> None:
        """Append the members, and the model's card, to a network's file."""
        members = {LABELS_FILE: _labels_csv(self.facts), CARD_FILE: card}
        if self.label_maps:
            maps = io.BytesIO()
            np.savez(maps, **self.label_maps)
            members[MAPS_FILE] = maps.getvalue()
        if self.images:
            members[IMAGES_FILE] = self.images
        append_members(path, _record(self.facts), members)

    @classmethod
    def read(cls, content: bytes, clip_seconds: float) -> "Archive":
        """Read the members of a file's bytes; clip_seconds: what an older file does not say.

        Raises InputError for a newer format, and where members are damaged or do not belong
        together; any of `DAMAGES` where they cannot be read.
        """
        with members_of(content) as archive:
            names = set(archive.namelist())
            if FACTS_FILE in names:
                facts = _facts(json.loads(archive.read(FACTS_FILE)))
            else:
                facts = _older_facts(archive.read(LABELS_FILE), clip_seconds)
            maps = {}
            if MAPS_FILE in names:
                with np.load(io.BytesIO(archive.read(MAPS_FILE)), allow_pickle=False) as arrays:
                    maps = dict(arrays)
            images = archive.read(IMAGES_FILE) if IMAGES_FILE in names else b""
        if not facts.are_sound:
            raise InputError("its labels, thresholds and lengths do not belong together")
        return cls(facts, maps, images)


def append_members(
    path: str | os.PathLike, facts: Mapping, members: Mapping[str, str | bytes]
) -> None:
    """Append facts, with a checksum of the network among them, and members to a network's file."""
    record = {**facts, CHECKSUM: zlib.crc32(pathlib.Path(path).read_bytes())}
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FACTS_FILE, json.dumps(record, indent=1) + "\n")
        for name, content in members.items():
            is_network = name == IMAGES_FILE  # which hardly gets smaller
            archive.writestr(name, content, zipfile.ZIP_STORED if is_network else None)


def check_network(content: bytes) -> None:
    """Check the network of a file's bytes; one of an earlier file, without a checksum, passes.

    Raises InputError where it is not as it was written, and what else `Archive.read` does.
    """
    with members_of(content) as archive:
        if FACTS_FILE not in archive.namelist():
            return
        expected = json.loads(archive.read(FACTS_FILE)).get(CHECKSUM)
        n_bytes = min(member.header_offset for member in archive.infolist())
    found = zlib.crc32(memoryview(content)[:n_bytes])
    if expected not in (None, found):
        raise InputError("its network is damaged, for its CRC-32 is not the one that was written")


def members_of(content: bytes) -> zipfile.ZipFile:
    """Return the members of a file's bytes, which are not copied; raises InputError as `check_zip`.

    Bytes and no path: the file that the network was read from may be another by now.
    """
    archive = zipfile.ZipFile(io.BytesIO(content))
    check_zip(archive, "its archive")
    return archive


def _record(facts: Facts) -> dict:
    return {
        "format": FORMAT,
        "task": str(facts.labels.task),
        "labels": list(facts.labels.names),
        "thresholds": [float(each) for each in facts.thresholds],
        "clip_seconds": facts.clip_seconds,
        "n_frames": facts.n_frames,
        "image_size_px": facts.image_size_px,
        "image_network": facts.image_network,
    }


def _facts(record: dict) -> Facts:
    if record["format"] > FORMAT:
        raise InputError(f"format {record['format']}, where this mmat knows {FORMAT}; update mmat")
    labels = LabelSet(tuple(record["labels"]), task=Task.from_text(record["task"]))
    numbers = (record[name] for name in ("clip_seconds", "n_frames", "image_size_px"))
    network = record.get("image_network", "")  # earlier files do not say it
    return Facts(labels, np.float32(record["thresholds"]), *numbers, network)


def _older_facts(labels_csv: bytes, clip_seconds: float) -> Facts:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / LABELS_FILE
        file.write_bytes(labels_csv)
        labels = LabelSet.from_csv(file)
    rows = csv.DictReader(io.StringIO(labels_csv.decode()))
    # Without thresholds a task has none, so that any will do.
    thresholds = [float(row.get("threshold", 0.5)) for row in rows]
    return Facts(labels, np.float32(thresholds), clip_seconds)


def _labels_csv(facts: Facts) -> str:
    """Return the label set's file, in a multi-label task with one column more, `threshold`."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / LABELS_FILE
        facts.labels.to_csv(file)
        plain = file.read_text(encoding="utf-8")
    if facts.labels.task != MULTI_LABEL:
        return plain
    head, *rows = csv.reader(io.StringIO(plain))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, "threshold"])
    writer.writerows([*row, f"{t:.7g}"] for row, t in zip(rows, facts.thresholds, strict=True))
    return text.getvalue()
