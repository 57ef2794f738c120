"""The validation clips of a training: its figures at each checkpoint, and clips to see and hear."""

import itertools

import keras
import numpy as np

from mmat.labels import MULTI_LABEL, Task
from mmat.lists.splits import VALIDATION
from mmat.metrics.decisions import decide
from mmat.metrics.tagging import SHORT, figures
from mmat.metrics.thresholds import best_single_threshold
from mmat.models.predict import Predictor
from mmat.shards.corpus import Corpus
from mmat.training.step import clip_loss
from mmat.training.tensorboard.clips import FixedClips

CLIPS_AT_ONCE = 32  # in validation
N_SHOWN = 4  # clips in TensorBoard


def watched(task: Task) -> str:
    """Return the validation figure by which the best checkpoint of a task is chosen.

    Of values it is the loss, their mean absolute error: figures of rounded values or of signs jump.
    """
    if task.is_regression:
        return "val_loss"
    return "val_uar" if task.is_multi_class else "val_f1"


class ValidationSet:
    """The validation clips, and what a model predicts of them by now: `truth` and `scores`.

    Called with the model it gives `val_loss` over the clips that the model can judge, and over all
    clips the figures of the task (`mmat.metrics.tagging`), each with `val_` before its name; those
    of several labels a clip at the one best threshold. can_judge: bool `(clips,)`.
    """

    def __init__(self, corpus: Corpus, model: keras.Model):
        self.corpus, self.model, self.task = corpus, model, corpus.task
        self.predictor = Predictor(model, self.task, CLIPS_AT_ONCE)
        names = [*self.predictor.inputs, *self.predictor.flags]
        self.clips = corpus.once(VALIDATION, names, CLIPS_AT_ONCE)
        self.truth, self.scores, self.can_judge = None, None, None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        task, (truth, scores, can_judge) = self.task, self.predictor.on_validation(self.clips)
        self.truth, self.scores, self.can_judge = truth, scores, can_judge
        threshold = best_single_threshold(truth, scores) if task == MULTI_LABEL else 0.0
        found = figures(task, truth, decide(task, scores, threshold), scores)
        loss = clip_loss({"clip": scores[can_judge]}, truth[can_judge], task)
        named = {f"val_{SHORT.get(name, name)}": figure for name, figure in found.items()}
        return {"val_loss": float(loss)} | named

    def fixed_clips(self) -> FixedClips | None:
        """Return the first clips with sound, to see and to hear in TensorBoard."""
        names = list(dict.fromkeys([*self.model.input, "waveform", "ids"]))
        clips = self.corpus.once(VALIDATION, names, 1).as_numpy_iterator()
        clips = list(itertools.islice(clips, N_SHOWN))
        if not clips:
            return None
        arrays = {name: _padded([x[name] for x, _ in clips]) for name in names}
        return FixedClips(
            [clip.decode() for clip in arrays["ids"]],
            arrays["waveform"],
            {name: arrays[name] for name in self.model.input},
            np.concatenate([weak_labels for _, weak_labels in clips]),
        )


def _padded(clips: list[np.ndarray]) -> np.ndarray:
    """Join arrays of a clip each; shorter sounds are padded with zeros at their ends."""
    longest = np.max([clip.shape[1:] for clip in clips], axis=0)
    ends = [[(0, 0), *((0, n) for n in longest - clip.shape[1:])] for clip in clips]
    return np.concatenate([np.pad(*each) for each in zip(clips, ends, strict=True)])
