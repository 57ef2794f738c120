"""What a model says of clips, as its weights are by then: of those held out, while it trains."""

import itertools

import keras
import numpy as np
import tensorflow as tf
from corpus import Corpus

from mmat.data.parsing import needed
from mmat.data.splits import VALIDATION
from mmat.errors import InputError
from mmat.metrics.by_task import SHORT, figures, where_judged
from mmat.metrics.decisions import decide
from mmat.metrics.thresholds import best_single_threshold
from mmat.models.quick import quick_layers
from mmat.tasks import MULTI_LABEL, Task
from mmat.training import FixedClips
from mmat.training.step import clip_loss

ASKED_AT_ONCE = 32  # clips
N_SHOWN = 4  # clips in TensorBoard


def watched(task: Task) -> str:
    """Return the validation figure by which the best checkpoint of a task is chosen.

    Of values it is the loss, their mean absolute error: figures of rounded values or of signs jump.
    """
    if task.is_regression:
        return "val_loss"
    return "val_uar" if task.exclusive else "val_f1"


class HeldOut:
    """The validation clips, and what a model says of them by now: `truth` and `scores`.

    Called with the model it gives `val_loss` over the clips that the model can judge, and over all
    clips the figures of the task (`mmat.metrics.by_task`), each with `val_` before its name; those
    of several labels a clip at the one best threshold.
    """

    def __init__(self, corpus: Corpus, model: keras.Model):
        self.corpus, self.model = corpus, model
        self.asked = Asked(model, corpus, VALIDATION)
        self.truth, self.scores = None, None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        _, truth, scores, judged = self.asked.all()
        self.truth, self.scores = truth, scores
        if not judged.any():
            raise InputError("no validation clip has what the model needs; prepare other clips")
        task = self.corpus.labels.task
        threshold = best_single_threshold(truth, scores) if task == MULTI_LABEL else 0.0
        found = figures(task, truth, decide(task, scores, threshold), scores)
        loss = clip_loss({"clip": scores[judged]}, truth[judged], task)
        named = {f"val_{SHORT.get(name, name)}": figure for name, figure in found.items()}
        return {"val_loss": float(loss)} | named

    def fixed_clips(self) -> FixedClips | None:
        """The first clips with sound, to see and to hear in TensorBoard."""
        names = list(dict.fromkeys([*self.model.input, "waveform", "ids"]))
        clips = self.corpus.once(VALIDATION, names, 1).as_numpy_iterator()
        clips = list(itertools.islice(clips, N_SHOWN))
        if not clips:
            return None
        together = {name: _joined([x[name] for x, _ in clips]) for name in names}
        return FixedClips(
            [clip.decode() for clip in together["ids"]],
            together["waveform"],
            {name: together[name] for name in self.model.input},
            np.concatenate([weak_labels for _, weak_labels in clips]),
        )


class Asked:
    """A model that is asked for the scores of a part's clips, as its weights are by then."""

    def __init__(self, model: keras.Model, corpus: Corpus, part: str):
        self.inputs, self.task = list(model.input), corpus.labels.task
        self.flags = needed(self.inputs)
        self.clips = corpus.once(part, [*self.inputs, *self.flags, "ids"], ASKED_AT_ONCE)

        @tf.function(reduce_retracing=True)
        def scores(inputs):
            with quick_layers(model):
                return model(inputs, training=False)["clip"]

        self.scores = scores

    def all(self) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
        """Return ids, truth bool and scores float32 `(clips, classes)`, and who could be judged.

        Of a regression the truth are the values, float32. A clip without what the model needs has
        the score that `mmat.metrics.by_task.unjudged` says.
        """
        ids, truth, scores, judged = [], [], [], []
        for inputs, weak_labels in self.clips:
            ids += [clip.decode() for clip in inputs["ids"].numpy()]
            can = np.ones(len(weak_labels), bool)
            for flag in self.flags:
                can &= inputs[flag].numpy()
            said = self.scores({name: inputs[name] for name in self.inputs}).numpy()
            judged.append(can)
            scores.append(where_judged(self.task, said, can))
            truth.append(weak_labels.numpy())
        truth, scores, judged = (np.concatenate(each) for each in (truth, scores, judged))
        return ids, truth if self.task.is_regression else truth > 0, scores, judged


def _joined(clips: list[np.ndarray]) -> np.ndarray:
    """Join arrays of a clip each; shorter sounds are padded with zeros at their ends."""
    longest = np.max([clip.shape[1:] for clip in clips], axis=0)
    ends = [[(0, 0), *((0, n) for n in longest - clip.shape[1:])] for clip in clips]
    return np.concatenate([np.pad(*each) for each in zip(clips, ends, strict=True)])
