"""What TensorBoard shows of a training."""

import os
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.plots import plot_tagging


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
