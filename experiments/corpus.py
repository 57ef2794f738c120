"""The clips of a training script: shards, made of lists and media where need be, and who validates.

Where shards hold no split `validation`, a tenth of the training clips is held out: whole videos,
every class with its share, the same in every run (`mmat.data.splits`).
"""

import argparse
import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse
import tensorflow as tf

from mmat.cli.common import say_dropped
from mmat.data.clips import Clip, clips_of
from mmat.data.datasets import batches
from mmat.data.lists import ReadList
from mmat.data.media import SAMPLE_RATE_HZ
from mmat.data.prepare import prepare
from mmat.data.sampling import batches_from, clips_once
from mmat.data.scanning import scan_split
from mmat.data.segment_lists import Segment
from mmat.data.shards import LABELS_FILE, read_index, shard_files
from mmat.data.splits import VALIDATION, validation_slice
from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.models.pretrained.registry import ImageNetwork, image_network
from mmat.training import Recipe

TRAIN, HELD_OUT_SHARE = "train", 0.1
LONGEST_CLIP_SECONDS = 30.0


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """Prepared clips. held_out: positions in split `train` of those that validate, else None."""

    folder: pathlib.Path
    index: dict
    labels: LabelSet
    held_out: np.ndarray | None

    @classmethod
    def opened(cls, folder: str | os.PathLike) -> "Corpus":
        """Open shards; raises InputError where a training cannot work with them."""
        folder = pathlib.Path(folder)
        index = read_index(folder)
        shard_files(folder, index, TRAIN)
        labels = LabelSet.from_csv(folder / LABELS_FILE)
        if list(labels.names) != index["labels"]:
            raise InputError(f"{folder / LABELS_FILE}: not the labels of the shards beside it")
        held = None if _has(index, VALIDATION) else _held_out(folder, labels)
        return cls(folder, index, labels, held)

    @property
    def ragged(self) -> bool:
        """Whether its clips have lengths of their own."""
        return self.index["clip_seconds"] is None

    @functools.cached_property
    def clip_seconds(self) -> float:
        """How long its clips are; of lengths of their own the longest in training, 30 s at most."""
        if not self.ragged:
            return self.index["clip_seconds"]
        clips = self.once(TRAIN, ["n_samples"], 1).as_numpy_iterator()
        longest = max(int(inputs["n_samples"][0]) for inputs, _ in clips)
        tenths = math.ceil(10 * longest / SAMPLE_RATE_HZ)
        return min(max(tenths, 1) / 10, LONGEST_CLIP_SECONDS)

    @property
    def network(self) -> ImageNetwork | None:
        """What looked at the pictures, if anything did."""
        name = self.index.get("image_network")
        return image_network(name) if name else None

    def has(self, split: str) -> bool:
        return _has(self.index, split)

    def batches_from(
        self, part: str, inputs: Sequence[str], recipe: Recipe
    ) -> Callable[[int], tf.data.Dataset]:
        """Class-balanced batches of `train` or `validation` for `mmat.training.train`."""
        split, among = self._where(part)
        return batches_from(self.folder, split, recipe.batch_size, recipe.seed, inputs, among=among)

    def once(self, part: str, inputs: Sequence[str], batch_size: int) -> tf.data.Dataset:
        """Batches of every clip of a part or split, once."""
        split, among = self._where(part)
        return batches(clips_once(self.folder, split, inputs, among), batch_size)

    def balanced_rates(self) -> np.ndarray:
        """How often each class occurs in class-balanced training batches, float64 `(classes,)`."""
        split, among = self._where(TRAIN)
        stored, n_classes = scan_split(self.folder, split), len(self.labels)
        n_clips = len(stored.offsets)
        drawn = np.isin(np.arange(n_clips), among(np.arange(n_clips)))
        members = stored.members(n_classes, drawn)
        rows, columns = (
            np.concatenate(members),
            np.repeat(np.arange(n_classes), [*map(len, members)]),
        )
        truth = scipy.sparse.csr_array(
            (np.ones(len(rows)), (rows, columns)), shape=(n_clips, n_classes)
        )
        together = (truth.T @ truth).toarray()  # clips with both classes
        own = together.diagonal()
        return (together[own > 0] / own[own > 0, None]).mean(axis=0)

    def _where(self, part: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
        """Return the split that a part lies in, and the function that picks its clips there."""
        held = self.held_out
        if held is None or part not in (TRAIN, VALIDATION):
            return part, lambda clips: clips
        if part == TRAIN:
            return TRAIN, lambda clips: np.setdiff1d(clips, held)
        return TRAIN, lambda clips: np.intersect1d(clips, held)


def open_corpus(
    arguments: argparse.Namespace, read: Callable[[], ReadList | None], lists_option: str
) -> Corpus:
    """Open the shards of the command line, or prepare them in OUT/shards.

    read: reads the lists, None where none is named; lists_option: how they are named.
    """
    if arguments.data:
        if arguments.media:
            raise InputError("--data and --media: clips are prepared already, or they are not")
        corpus = Corpus.opened(arguments.data)
        asked, seen = arguments.image_model, corpus.index.get("image_network")
        if asked and asked != seen:
            raise InputError(
                f"{arguments.data}: its pictures went through {seen or 'no network'}, not {asked}; "
                f"prepare them with --image-model {asked}"
            )
        return corpus
    if arguments.devices == "workers":
        raise InputError("--devices workers: give --data, shards that every machine can read")
    if not arguments.media:
        raise InputError(f"no clips: give --data SHARDS, or {lists_option} and --media DIR")
    found = read()
    if found is None:
        raise InputError(f"{lists_option} is missing: which of the media are the clips?")
    say_dropped(found.dropped)
    return Corpus.opened(_prepared(arguments, found))


def _prepared(arguments: argparse.Namespace, found: ReadList) -> pathlib.Path:
    if not 0 < arguments.clip_seconds < float("inf"):
        raise InputError(f"--clip-seconds {arguments.clip_seconds}: no duration above 0")
    sound_alone = arguments.systems == ("audio",)
    folder = pathlib.Path(arguments.out, "shards")
    index = prepare(
        with_validation(clips_of(found.table)),
        arguments.media,
        folder,
        found.labels,
        image_network=None if sound_alone else arguments.image_model or "inception_v3",
        n_frames=arguments.frames,
        clip_seconds=arguments.clip_seconds,
        workers=arguments.workers,
        overwrite=arguments.again,
    )
    counts = ", ".join(f"{name} {split['clips']}" for name, split in index["splits"].items())
    print(f"{folder}: {counts}; {index['failures']} clips cannot be used")
    return folder


def with_validation(clips: list[Clip]) -> list[Clip]:
    """Return the clips, a tenth of those of split `train` with the split `validation` instead.

    A list that has that split already stays as it is. Raises InputError without training clips.
    """
    if any(clip.split == VALIDATION for clip in clips):
        return clips
    train = [clip for clip in clips if clip.split == TRAIN]
    if not train:
        raise InputError("the lists name no clip of the split 'train'; there is nothing to learn")
    return [
        *validation_slice(train, HELD_OUT_SHARE),
        *(clip for clip in clips if clip.split != TRAIN),
    ]


def _has(index: dict, split: str) -> bool:
    return bool(index["splits"].get(split, {}).get("clips"))


def _held_out(folder: pathlib.Path, labels: LabelSet) -> np.ndarray:
    """Return the positions of the training clips that validate; videos are known by the ids."""
    stored = clips_once(folder, TRAIN, ["ids"]).as_numpy_iterator()
    clips = []
    for inputs, weak_labels in stored:
        clip = inputs["ids"].decode()
        # Of a regression each clip has a value of every label: nothing to share out evenly.
        has = np.zeros(0) if labels.task.is_regression else weak_labels
        names = tuple(labels.names[c] for c in np.flatnonzero(has))
        segment = Segment.named(clip)
        clips.append(Clip(clip, "", names, video_id=segment.video_id if segment else ""))
    try:
        sliced = validation_slice(clips, HELD_OUT_SHARE)
    except InputError as error:
        raise InputError(
            f"{folder}: no split 'validation', and none can be cut from 'train' ({error}); name "
            "the split of each clip in the list and prepare it again"
        ) from error
    held = np.flatnonzero([clip.split == VALIDATION for clip in sliced])
    print(
        f"{folder}: no split 'validation'; {len(held)} of {len(clips)} training clips are held out"
    )
    return held
