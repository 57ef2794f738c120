"""What the training scripts share: the parts to fit, figures at every epoch, the fastest dtype."""

import os
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.plots import plot_tagging


def front_end(audio: keras.Model) -> keras.Model:
    """The part of an audio branch that learns nothing: waveform to log-mel in decibels."""
    return keras.Model(
        audio.input["waveform"], audio.get_layer("band_normalization").input, name="front_end"
    )


def back_end(audio: keras.Model) -> keras.Model:
    """The rest of an audio branch, log-mel in and `clip` and `frame` out; it shares the weights.

    Fitting it on the front end's output, computed once, is the same as fitting the whole and
    spares a third of the time.
    """
    return keras.Model(audio.get_layer("band_normalization").input, audio.output, name="back_end")


def late_head(fused: keras.Model) -> keras.Model:
    """The part of a late fusion that learns: clip scores of both branches in, fused scores out."""
    return keras.Model(
        fused.get_layer("modality_dropout").input, fused.get_layer("clip").input[0], name="late"
    )


def warm_cosine(learning_rate: float, steps: int, warm_steps: int):
    """A learning rate that rises over `warm_steps`, then falls by a cosine to a hundredth."""
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 100,
        max(1, steps - warm_steps),
        alpha=0.01,
        warmup_target=learning_rate,
        warmup_steps=warm_steps,
    )


def fastest_dtype(seconds: float = 0.5) -> str:
    """Return `mixed_bfloat16` where a convolution's training step is faster in it, else `float32`.

    A CPU without bfloat16 instructions is slower in it by far, so this is measured, not looked up.
    """
    x = np.zeros((4, 100, 32, 32), np.float32)
    rates = {}
    for dtype in ("float32", "mixed_bfloat16"):
        layer = keras.layers.Conv2D(64, 5, padding="same", dtype=dtype)
        model = keras.Sequential([keras.Input(x.shape[1:]), layer])
        model.compile("sgd", "mse")
        target = np.zeros((4, 100, 32, 64), np.float32)
        model.train_on_batch(x, target)
        began, n_steps = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            model.train_on_batch(x, target)
            n_steps += 1
        rates[dtype] = n_steps / (time.perf_counter() - began)
    return max(rates, key=rates.get)


class TaggingFigures(keras.callbacks.Callback):
    """Add validation F1 and mean average precision to the logs of every epoch.

    Put it before TensorBoard, which then sees `val_f1` (micro, at the best single
    threshold) and `val_map`. inputs, weak_labels: the validation split.
    """

    def __init__(self, inputs, weak_labels: np.ndarray, batch_size: int = 32):
        super().__init__()
        self.inputs, self.truth, self.batch_size = inputs, np.asarray(weak_labels) > 0, batch_size

    def on_epoch_end(self, epoch, logs=None):
        scores = self.model.predict(self.inputs, batch_size=self.batch_size, verbose=0)
        scores = scores["clip"] if isinstance(scores, dict) else scores
        threshold = np.full(scores.shape[1], best_single_threshold(self.truth, scores), np.float32)
        logs["val_f1"] = precision_recall_f1(self.truth, fire(scores, threshold)).f1
        logs["val_map"] = mean_average_precision(self.truth, scores)


class TaggingPictures(keras.callbacks.Callback):
    """Write a batch of mel pictures and one clip's frame scores to TensorBoard.

    folder: the log folder. log_mels: `(clips, frames, bands, 1)` in decibels, a few clips. The
    pictures of the mel are written once, the frame scores every `every` epochs.
    """

    def __init__(self, folder, log_mels: np.ndarray, labels: Sequence[str], every: int = 5):
        super().__init__()
        self.folder, self.log_mels = os.fspath(folder), log_mels
        self.labels, self.every = labels, every

    def on_train_begin(self, logs=None):
        self.writer = tf.summary.create_file_writer(self.folder)
        low, high = self.log_mels.min(), self.log_mels.max()
        pictures = np.flip((self.log_mels - low) / max(high - low, 1e-6), axis=2)
        with self.writer.as_default():
            tf.summary.image("log_mel", np.swapaxes(pictures, 1, 2), 0, len(pictures))

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        import io

        scores = self.model.predict(self.log_mels[:1], verbose=0)
        thresholds = np.full(len(self.labels), 0.5, np.float32)
        target = io.BytesIO()
        plot_tagging(target, self.log_mels[0, :, :, 0], scores["frame"][0], self.labels, thresholds)
        picture = tf.io.decode_png(target.getvalue())
        with self.writer.as_default():
            tf.summary.image("frame_scores", picture[None], epoch)

    def on_train_end(self, logs=None):
        self.writer.close()


def tensorboard(folder) -> keras.callbacks.TensorBoard:
    """TensorBoard's callback with the graph, losses, figures and learning rate."""
    return keras.callbacks.TensorBoard(folder, write_graph=True, write_images=False)


def exchanged(inputs: dict, seed: int = 0) -> dict:
    """The same clips with their pictures exchanged: each gets another clip's, or its absence.

    A model that gains from pictures for a reason must lose that gain here.

    >>> inputs = {"image_probabilities": np.arange(3)[:, None, None], "has_video": np.ones(3, bool)}
    >>> moved = exchanged(inputs)["image_probabilities"].ravel()
    >>> bool((moved != np.arange(3)).all())
    True
    """
    n_clips = len(inputs["has_video"])
    order = np.random.default_rng(seed).permutation(n_clips)
    other = np.empty(n_clips, int)
    other[order] = np.roll(order, 1)
    names = ("image_probabilities", "has_video")
    return inputs | {name: inputs[name][other] for name in names}


def predict(model: keras.Model, inputs: dict, batch_size: int = 16) -> dict[str, np.ndarray]:
    """The scores of a model for the inputs that it has; a clip it cannot judge gets 0."""
    own = {name: inputs[name] for name in model.input}
    scores = model.predict(own, batch_size=batch_size, verbose=0)
    judge: Callable = {("waveform",): "has_audio", ("image_probabilities",): "has_video"}.get
    if presence := judge(tuple(model.input)):
        scores["clip"] = scores["clip"] * inputs[presence][:, None]
    return scores
