"""A folder of shards as training data: its labels, task and splits, and batches of its clips.

Where shards hold no split `validation`, a tenth of the training clips is held out: whole videos,
every class with its share, the same in every run (`mmat.lists.splits`).
"""

import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.sparse
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import LabelSet, Task
from mmat.lists.clip import Clip, Segment
from mmat.lists.splits import VALIDATION, validation_slice
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.pretrained.registry import AudioEncoder, ImageNetwork, image_network
from mmat.shards.folder import LABELS_FILE, read_index, shard_files
from mmat.shards.frozen import IMAGE_SIZE, SOURCE_GROUPS, kept_encoder
from mmat.shards.read import MODEL_INPUTS, batches, list_order, read_arrays
from mmat.shards.sampling import Queues, batches_from, class_queues, clips_once, scan_split

TRAIN, HELD_OUT_SHARE = "train", 0.1
LONGEST_CLIP_SECONDS = 30.0


def open_corpus(folder: str | os.PathLike, hold_out: bool = True) -> "Corpus":
    """Open a folder of shards, made by `mmat prepare`, to train on.

    folder: shards with a split `train`. hold_out: without a split `validation` hold a tenth of the
    training clips out for it. Raises InputError for a folder that is missing or damaged, and then
    also for one without training clips or from which none can be held out.

    >>> import tempfile, mmat, soundfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "rex.wav", np.zeros(16000), 16000)
    >>> clips = [Clip(f"{x}", "rex.wav", ("Dog",), split=x) for x in ("train", "validation")]
    >>> labels = mmat.LabelSet.of(["Dog", "Cat"])
    >>> _ = mmat.prepare(clips, folder, folder / "shards", labels, workers=0, progress=False)
    >>> corpus = open_corpus(folder / "shards")
    >>> corpus.splits, corpus.loss
    ({'train': 1, 'validation': 1}, {'clip': 'binary_crossentropy'})
    >>> inputs, targets = next(iter(corpus.batches("train", 32)))
    >>> tuple(inputs["waveform"].shape), targets["clip"].numpy().tolist()
    ((1, 160000, 1), [[1.0, 0.0]])
    """
    folder = pathlib.Path(folder)
    index = read_index(folder)
    if hold_out:
        shard_files(folder, index, TRAIN)
    labels = LabelSet.from_csv(folder / LABELS_FILE)
    if list(labels.names) != index["labels"]:
        raise InputError(f"{folder / LABELS_FILE}: not the labels of the shards beside it")
    has_validation = index["splits"].get(VALIDATION, {}).get("clips")
    held_out = _held_out(folder, labels) if hold_out and not has_validation else None
    return Corpus(folder, index, labels, held_out)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """Prepared clips, from `open_corpus`.

    folder: of the shards. index: the content of their `index.json`. labels: the label set, which
    knows the task. held_out: positions in split `train` of the clips for validation, None where
    the shards have a split for that.
    """

    folder: pathlib.Path
    index: dict
    labels: LabelSet
    held_out: np.ndarray | None

    def __repr__(self) -> str:
        clips = ", ".join(f"{name} {n_clips}" for name, n_clips in self.splits.items())
        return f"<Corpus {self.folder}: {len(self.labels)} labels, {self.task}; clips: {clips}>"

    @property
    def task(self) -> Task:
        """What the labels mean together."""
        return self.labels.task

    @property
    def loss(self) -> dict[str, str]:
        """The task's loss, as `model.compile` takes it for a model of mmat."""
        return {"clip": self.task.loss}

    @property
    def splits(self) -> dict[str, int]:
        """How many clips each split has; those held out from `train` are its `validation`."""
        counts = {name: entry["clips"] for name, entry in self.index["splits"].items()}
        if self.held_out is not None:
            counts[VALIDATION] = len(self.held_out)
            counts[TRAIN] -= len(self.held_out)
        return counts

    @property
    def ragged(self) -> bool:
        """Whether its clips have lengths of their own."""
        return self.index["clip_seconds"] is None

    @functools.cached_property
    def clip_seconds(self) -> float:
        """How long its clips are; if ragged, the longest training clip, 30 s at most."""
        if not self.ragged:
            return self.index["clip_seconds"]
        clips = self.once(TRAIN, ["n_samples"], 1).as_numpy_iterator()
        longest = max(int(inputs["n_samples"][0]) for inputs, _ in clips)
        tenths = math.ceil(10 * longest / SAMPLE_RATE_HZ)
        return min(max(tenths, 1) / 10, LONGEST_CLIP_SECONDS)

    @property
    def network(self) -> ImageNetwork | None:
        """The image network that classified the pictures, if there was one."""
        name = self.index.get("image_network")
        return image_network(name) if name else None

    @property
    def audio_encoder(self) -> AudioEncoder | None:
        """The audio encoder whose outputs the shards hold, if they hold any."""
        return kept_encoder(self.index)

    @property
    def image_embedding_size(self) -> int:
        """The size of the image embeddings in the shards, 0 without."""
        return self.index.get(IMAGE_SIZE, 0)

    def arrays(self, split: str, inputs: Iterable[str] = MODEL_INPUTS) -> dict:
        """Return the clips of a split as `read_arrays` does, those held out apart.

        Raises InputError for an unknown input or split, and for what the shards do not hold.
        """
        stored_split, among = self._where(split)
        if self.held_out is None or stored_split == split != TRAIN:
            return read_arrays(self.folder, stored_split, inputs=inputs)
        entries = self.index["splits"][stored_split]["files"]
        order = list_order([entry["clips"] for entry in entries])
        rows = np.flatnonzero(np.isin(order, among(np.arange(len(order)))))
        return read_arrays(self.folder, stored_split, rows.tolist(), inputs)

    def source_groups(self, split: str) -> list[tuple[str, ...]]:
        """Return the names of each clip's source groups, in the order of `arrays`.

        Raises InputError for shards that do not hold them: those without an audio encoder.
        """
        return self.arrays(split, [SOURCE_GROUPS])[SOURCE_GROUPS]

    def has(self, split: str) -> bool:
        """Return whether there are clips of a split."""
        return self.splits.get(split, 0) > 0

    def batches(
        self,
        split: str,
        batch_size: int,
        inputs: Iterable[str] = ("waveform",),
        seed: int = 0,
    ) -> tf.data.Dataset:
        """Return the clips of a split as batches for `fit` and `adapt`, each clip once.

        Elements: (inputs by name, {"clip": weak labels float32 `(batch, classes)`}); the inputs are
        those of `mmat.shards.read.load_split`. Clips of `train` come in another order in every
        epoch, the same in every run with that seed; those of other splits in that of the shards.

        inputs: those of the model; `model.input` names them too. Clips with lengths of their own
        have `n_samples` beside the waveform. A clip that lacks what they need is left out. Raises
        InputError for an unknown input or split, and where no clip has what the inputs need.
        """
        names = list(inputs)
        if self.ragged and "waveform" in names and "n_samples" not in names:
            names.append("n_samples")
        clips = self._clips(split, names, seed if split == TRAIN else None)
        if not int(clips.cardinality()):
            raise InputError(
                f"{self.folder}, split {split!r}: no clip has what the model needs "
                f"({', '.join(names)})"
            )
        return batches(clips, batch_size).map(lambda given, labels: (given, {"clip": labels}))

    def batches_from(
        self,
        split: str,
        inputs: Sequence[str],
        batch_size: int,
        seed: int = 0,
        queues: Queues = class_queues,
    ) -> Callable[[int], tf.data.Dataset]:
        """Return class-balanced batches of `train` or `validation`, for `mmat.training`.

        queues: `queues_with_unlabelled` (`mmat.shards.sampling`) also draws clips without a label,
        which else are never drawn.
        """
        split, among = self._where(split)
        return batches_from(self.folder, split, batch_size, seed, inputs, among, queues)

    def once(self, split: str, inputs: Sequence[str], batch_size: int) -> tf.data.Dataset:
        """Return batches of every clip of a split, once, in order: (inputs, weak labels)."""
        return batches(self._clips(split, inputs), batch_size)

    def label_rates(
        self, balanced: bool = False, queues: Queues = class_queues
    ) -> np.ndarray | None:
        """Return how often each class occurs in training, float64 `(classes,)`.

        balanced: in class-balanced batches (`batches_from`) of these queues, else in `batches`.
        None for a regression, where every clip has a value of each label.
        """
        if self.task.is_regression:
            return None
        split, among = self._where(TRAIN)
        stored, n_classes = scan_split(self.folder, split), len(self.labels)
        n_clips = len(stored.offsets)
        drawn = among(np.arange(n_clips))
        is_drawn = np.isin(np.arange(n_clips), drawn)
        members = stored.members(n_classes, is_drawn)
        if not balanced:
            return np.array([*map(len, members)]) / len(drawn)
        drawn_from = [own for own in queues(members, stored.unlabelled(is_drawn)) if len(own)]
        # Clips of each queue that have each class.
        together = (_columns(drawn_from, n_clips).T @ _columns(members, n_clips)).toarray()
        return (together / np.array([*map(len, drawn_from)])[:, None]).mean(axis=0)

    def _clips(
        self, split: str, inputs: Sequence[str], shuffle_seed: int | None = None
    ) -> tf.data.Dataset:
        stored_split, among = self._where(split)
        return clips_once(self.folder, stored_split, inputs, among, shuffle_seed)

    def _where(self, split: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
        """Return the split that the clips lie in, and the function that picks them there."""
        held_out = self.held_out
        if held_out is None or split not in (TRAIN, VALIDATION):
            return split, lambda clips: clips
        if split == TRAIN:
            return TRAIN, lambda clips: np.setdiff1d(clips, held_out)
        return TRAIN, lambda clips: np.intersect1d(clips, held_out)


def _columns(clips_of: Sequence[np.ndarray], n_clips: int) -> scipy.sparse.csr_array:
    """Return `(clips, sets)`: 1 where a clip is in a set, given as the positions of its clips."""
    rows = np.concatenate(clips_of)
    columns = np.repeat(np.arange(len(clips_of)), [*map(len, clips_of)])
    shape = (n_clips, len(clips_of))
    return scipy.sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _held_out(folder: pathlib.Path, labels: LabelSet) -> np.ndarray:
    """Return the positions of the training clips to hold out; ids name their videos."""
    clips = []
    for inputs, weak_labels in clips_once(folder, TRAIN, ["ids"]).as_numpy_iterator():
        clip = inputs["ids"].decode()
        # In a regression every clip has a value of each label: there is nothing to stratify.
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
    return np.flatnonzero([clip.split == VALIDATION for clip in sliced])
