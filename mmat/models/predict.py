"""A model's scores for clips: of arrays held in memory, and of steps as they are streamed."""

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from mmat.files import InputError
from mmat.labels import MULTI_LABEL, Task
from mmat.models.fast_cpu import fast_cpu
from mmat.models.tracing import traced
from mmat.shards.read import required_flags

BATCH_SIZE = 16  # clips
SENSES = {"audio": "has_audio", "video": "has_video"}


class Predictor:
    """Predicts the scores of clips, by the weights that the model has at each call.

    The model, whose inputs have names, is traced once, with the fast CPU path. Not by Keras's
    `predict`: between two steps of a training that would compile anew, and under some strategies
    wait for other machines.

    >>> inputs = {"waveform": keras.Input((2, 1), name="waveform")}
    >>> clip = keras.layers.Flatten()(inputs["waveform"])
    >>> predictor = Predictor(keras.Model(inputs, {"clip": clip}))
    >>> waveform = np.array([[[0.25], [0.5]], [[0.75], [1.0]]], np.float32)
    >>> predictor({"waveform": waveform, "has_audio": np.array([True, False])})["clip"].tolist()
    [[0.25, 0.5], [0.0, 0.0]]
    """

    def __init__(self, model: keras.Model, task: Task = MULTI_LABEL, batch_size: int = BATCH_SIZE):
        self.inputs, self.task, self.batch_size = list(model.input), task, batch_size
        self.flags = required_flags(self.inputs)

        def outputs(inputs):
            with fast_cpu(model):
                return model(inputs, training=False)

        self._outputs = traced(outputs)

    def __call__(self, clips: Mapping) -> dict[str, np.ndarray]:
        """Return the model's outputs, `(clips, …)` each, for one step or for all clips at once.

        clips: arrays or tensors `(clips, …)` by name: the model's inputs, and `has_audio` and
        `has_video` where it needs sound or pictures but does not take the flag. A clip, its frames
        and a fused model's branches have `Task.missing_score` where what they need is absent.
        """
        own = {name: clips[name] for name in self.inputs}
        n_clips = len(next(iter(own.values())))
        parts = [
            self._outputs({name: x[i : i + self.batch_size] for name, x in own.items()})
            for i in range(0, n_clips, self.batch_size)
        ]
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        needs = {"clip": self.flags, "frame": self.flags}
        for sense, flag in SENSES.items():
            needs |= {sense: [flag], f"{sense}_frame": [flag]}
        for name in outputs.keys() & needs.keys():
            if needs[name]:
                present = np.all([clips[flag] for flag in needs[name]], axis=0)
                outputs[name] = fill_missing(self.task, outputs[name], present)
        return outputs

    def can_judge(self, clips: Mapping) -> np.ndarray:
        """Return which clips have what the model needs: bool `(clips,)`."""
        n_clips = len(clips[self.inputs[0]])
        return np.all([np.ones(n_clips, bool), *(clips[flag] for flag in self.flags)], axis=0)

    def on_validation(
        self, batches: Iterable[tuple[Mapping, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return truth and scores of validation clips `(clips, classes)`, and `can_judge` of them.

        batches: (inputs and flags, weak labels). Truth is bool, or the values of a regression.
        Raises InputError where no clip has what the model needs.
        """
        truth, scores, can_judge = [], [], []
        for clips, weak_labels in batches:
            truth.append(weak_labels)
            scores.append(self(clips)["clip"])
            can_judge.append(self.can_judge(clips))
        truth, scores, can_judge = map(np.concatenate, (truth, scores, can_judge))
        if not can_judge.any():
            raise InputError("no validation clip has what the model needs; prepare other clips")
        return truth if self.task.is_regression else truth > 0, scores, can_judge


def predict(
    model: keras.Model, clips: Mapping, batch_size: int = BATCH_SIZE, task: Task = MULTI_LABEL
) -> dict[str, np.ndarray]:
    """Return the scores of a model for clips, once, by output; see `Predictor`.

    clips: arrays `(clips, …)` by name, as `mmat.shards.read.read_arrays` gives them.
    """
    return Predictor(model, task, batch_size)(clips)


def fill_missing(task: Task, scores, present) -> np.ndarray:
    """Return scores `(clips, …)`, float32; `Task.missing_score` where not `present` `(clips,)`.

    >>> from mmat.labels import regression
    >>> fill_missing(regression(1, 5), [[2.0], [0.5]], [True, False]).tolist()
    [[2.0], [3.0]]
    """
    scores, present = np.asarray(scores, np.float32), np.asarray(present, bool)
    present = present.reshape(-1, *[1] * (scores.ndim - 1))
    return np.where(present, scores, np.float32(task.missing_score))


def shuffle_pictures(inputs: dict, seed: int = 0) -> dict:
    """Return the same clips with their pictures shuffled: each gets another clip's, or its absence.

    A model that gains from pictures for a reason must lose that gain here.

    >>> inputs = {"image_probabilities": np.arange(3)[:, None, None], "has_video": np.ones(3, bool)}
    >>> moved = shuffle_pictures(inputs)["image_probabilities"].ravel()
    >>> bool((moved != np.arange(3)).all())
    True
    """
    n_clips = len(inputs["has_video"])
    order = np.random.default_rng(seed).permutation(n_clips)
    other = np.empty(n_clips, int)
    other[order] = np.roll(order, 1)
    names = {"image_probabilities", "image_embeddings", "has_video"} & inputs.keys()
    return inputs | {name: inputs[name][other] for name in names}
