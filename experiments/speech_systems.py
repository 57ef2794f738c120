"""The systems that are compared on speech: chance, a ridge, the CRNN, a head on YAMNet.

Each is a function of the training clips, which answers for all clips. None is told who speaks.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speech import Features, Speech

from mmat.labels import FRAME_HZ
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.metrics.multi_class import unweighted_average_recall
from mmat.models.audio import audio_branch
from mmat.models.augment import RandomFilter, SpecAugment
from mmat.models.features import SPEECH_MEL
from mmat.models.pooling import mean_pooling
from mmat.models.pretrained.registry import yamnet
from mmat.training import learning_back_end

CRNN = "CRNN from scratch"
PENALTIES = tuple(10.0**n for n in range(7))
# Half the authors' filters, and pooled sooner: 450 short recordings ask for no more (ours).
BLOCKS = ((16, (5, 2)), (32, (2, 4)), (64, (1, 2)))


class Answer(NamedTuple):
    """What a system says: scores `(clips, classes)`, more to tell, and the branch if it has one."""

    scores: np.ndarray
    told: dict[str, float] = {}
    branch: keras.Model | None = None


class Chance:
    """The class that most clips of training have, or the first of several."""

    name, about, n_weights, is_random = "most frequent class", "", 0, False

    def __init__(self, speech: Speech):
        self.speech = speech

    def answer(self, train: np.ndarray, seed: int) -> Answer:
        """Decide for the same class in all clips."""
        scores = np.zeros(self.speech.truth.shape, np.float32)
        scores[:, self.speech.truth[train].sum(axis=0).argmax()] = 1.0
        return Answer(scores)


class Ridge:
    """A ridge classifier on the mean and the deviation of a clip's YAMNet embeddings.

    Its penalty is chosen anew for each fold, by leaving out the speakers of training in turn.
    """

    name, about, is_random = "ridge on YAMNet", f"penalties {PENALTIES}", False

    def __init__(self, speech: Speech):
        self.speech = speech
        patches = [np.asarray(x, np.float64) for x in speech.patches(yamnet)]
        self.inputs = np.stack([np.r_[x.mean(axis=0), x.std(axis=0)] for x in patches])
        self.n_weights = (self.inputs.shape[1] + 1) * len(speech.labels)

    def answer(self, train: np.ndarray, seed: int) -> Answer:
        """Choose a penalty, fit, and decide for one class in each clip."""
        nested = {penalty: self._nested(train, penalty) for penalty in PENALTIES}
        penalty = max(nested, key=nested.get)
        told = {"penalty": penalty, "nested_uar": nested[penalty]}
        return Answer(self._decided(train, penalty), told)

    def _nested(self, train: np.ndarray, penalty: float) -> float:
        found = []
        for speaker in np.unique(self.speech.speakers[train]):
            without = train[self.speech.speakers[train] != speaker]
            held = train[self.speech.speakers[train] == speaker]
            decided = self._decided(without, penalty)[held] > 0
            found.append(unweighted_average_recall(self.speech.truth[held], decided))
        return float(np.mean(found))

    def _decided(self, train: np.ndarray, penalty: float) -> np.ndarray:
        fitted = make_pipeline(StandardScaler(), RidgeClassifier(alpha=penalty))
        fitted.fit(self.inputs[train], self.speech.truth[train].argmax(axis=1))
        n_classes = self.speech.truth.shape[1]
        return np.eye(n_classes, dtype=np.float32)[fitted.predict(self.inputs)]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network learns speech, by AdamW with a warm cosine."""

    rate: float
    epochs: int
    dropout: float = 0.3
    batch_size: int = 16


CRNN_RECIPE = Recipe(rate=1e-3, epochs=20)
HEAD_RECIPE = Recipe(rate=1e-3, epochs=20, dropout=0.5)


class Network:
    """An audio branch that learns from what its front end gave of the training clips.

    build: makes the branch, ragged, by a seed and a dropout. hop_samples: of a frame of its front
    end.
    """

    is_random = True

    def __init__(
        self,
        name: str,
        speech: Speech,
        build: Callable[[int, float], keras.Model],
        hop_samples: int,
        recipe: Recipe,
    ):
        self.name, self.speech, self.build, self.recipe = name, speech, build, recipe
        branch = build(0, 0.0)
        self.n_weights = sum(int(np.prod(w.shape)) for w in branch.trainable_weights)
        self.about = f"{recipe}, {self.n_weights} weights"
        self.features = Features(speech, branch, hop_samples)

    def answer(self, train: np.ndarray, seed: int) -> Answer:
        """Train the branch, waveform in, and ask it for the scores of all clips."""
        keras.utils.set_random_seed(seed)
        recipe, branch = self.recipe, self.build(seed, self.recipe.dropout)
        self.features.adapt(branch, train)
        steps = len(train) // recipe.batch_size
        task = self.speech.labels.task
        network = learning_back_end(branch, recipe.rate, recipe.epochs * steps, 2 * steps, task)
        batches = self._batches(train, np.random.default_rng(seed))
        network.fit(batches, steps_per_epoch=steps, epochs=recipe.epochs, verbose=0)
        scores = self.features.scores(branch, np.arange(len(self.speech.ids)))
        whole = keras.Model(branch.input, branch.output, name=branch.name)  # see `back_end`
        return Answer(scores, {"loss": network.history.history["loss"][-1]}, whole)

    def _batches(self, train: np.ndarray, rng: np.random.Generator) -> tf.data.Dataset:
        """Batches without end, each as long as its longest clip: frames, lengths, and truth."""
        truth = self.speech.truth.astype(np.float32)

        def batches():
            while True:
                order = rng.permutation(train)
                for i in range(0, len(train) - self.recipe.batch_size + 1, self.recipe.batch_size):
                    clips = order[i : i + self.recipe.batch_size]
                    yield self.features.padded(clips), {"clip": truth[clips]}

        bands, classes = self.features.all.shape[2], truth.shape[1]
        frames = tf.TensorSpec((None, None, bands, 1)), tf.TensorSpec((None,), tf.int32)
        spec = frames, {"clip": tf.TensorSpec((None, classes))}
        return tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(2)


def kept_branch(path: str | os.PathLike) -> keras.Model:
    """Return a branch that was saved after its training."""
    return keras.saving.load_model(path)


def crnn(speech: Speech) -> Network:
    """The authors' network, smaller, from scratch on log-mel of 25 ms every 10 ms."""

    def build(seed: int, dropout: float) -> keras.Model:
        augmentation = RandomFilter(0.5, seed=seed), SpecAugment(0.15, 0.2, seed=seed)
        return _branch(speech, augmentation, dropout, mel=SPEECH_MEL, blocks=BLOCKS)

    return Network(CRNN, speech, build, SPEECH_MEL.hop_samples, CRNN_RECIPE)


def head(speech: Speech) -> Network:
    """A recurrent layer and its head on frozen YAMNet embeddings."""

    def build(seed: int, dropout: float) -> keras.Model:
        augmentation = (SpecAugment(0.15, 0.0, seed=seed),)
        return _branch(speech, augmentation, dropout, encoder=yamnet)

    hop_samples = round(SAMPLE_RATE_HZ / FRAME_HZ)
    return Network("CRNN head on YAMNet", speech, build, hop_samples, HEAD_RECIPE)


def _branch(speech: Speech, augmentation, dropout: float, **front_end) -> keras.Model:
    options = {"augmentation": augmentation, "dropout": dropout, "ragged": True, **front_end}
    return audio_branch(speech.labels, pooling=mean_pooling, **options)
