"""What a model says of clips, as its weights are by then: of those held out, while it trains."""

import itertools

import keras
import numpy as np
import tensorflow as tf
from corpus import Corpus

from mmat.data.parsing import needed
from mmat.data.splits import VALIDATION
from mmat.errors import InputError
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.training import FixedClips
from mmat.training.step import clip_loss

ASKED_AT_ONCE = 32  # clips
N_SHOWN = 4  # clips in TensorBoard


class HeldOut:
    """The validation clips, and what a model says of them by now: `truth` and `scores`.

    Called with the model it gives the loss over the clips that the model can judge, micro F1 at
    the one best threshold, and mean average precision, over all clips.
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
        fired = fire(scores, best_single_threshold(truth, scores))
        loss = clip_loss({"clip": scores[judged]}, truth[judged])
        return {
            "val_loss": float(loss),
            "val_f1": precision_recall_f1(truth, fired).f1,
            "val_map": mean_average_precision(truth, scores),
        }

    def fixed_clips(self) -> FixedClips | None:
        """The first clips with sound, to see and to hear in TensorBoard."""
        names = list(dict.fromkeys([*self.model.input, "waveform", "ids"]))
        clips = self.corpus.once(VALIDATION, names, 1).as_numpy_iterator()
        clips = list(itertools.islice(clips, N_SHOWN))
        if not clips:
            return None
        together = {name: np.concatenate([x[name] for x, _ in clips]) for name in names}
        return FixedClips(
            [clip.decode() for clip in together["ids"]],
            together["waveform"],
            {name: together[name] for name in self.model.input},
            np.concatenate([weak_labels for _, weak_labels in clips]),
        )


class Asked:
    """A model that is asked for the scores of a part's clips, as its weights are by then."""

    def __init__(self, model: keras.Model, corpus: Corpus, part: str):
        self.inputs = list(model.input)
        self.flags = needed(self.inputs)
        self.clips = corpus.once(part, [*self.inputs, *self.flags, "ids"], ASKED_AT_ONCE)
        self.scores = tf.function(
            lambda inputs: model(inputs, training=False)["clip"], reduce_retracing=True
        )

    def all(self) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
        """Return ids, truth bool and scores float32 `(clips, classes)`, and who could be judged.

        A clip without what the model needs scores 0.
        """
        ids, truth, scores, judged = [], [], [], []
        for inputs, weak_labels in self.clips:
            ids += [clip.decode() for clip in inputs["ids"].numpy()]
            can = np.ones(len(weak_labels), bool)
            for flag in self.flags:
                can &= inputs[flag].numpy()
            said = self.scores({name: inputs[name] for name in self.inputs}).numpy()
            judged.append(can)
            scores.append(said * can[:, None])
            truth.append(weak_labels.numpy() > 0)
        return ids, *(np.concatenate(each) for each in (truth, scores, judged))
