"""The callback that writes TensorBoard's log folder, which a training can leave and come back to.

`tensorboard_callbacks` is what scripts call.
"""

import os
import pathlib
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from mmat.files import atomic_path
from mmat.labels import LabelSet
from mmat.training.tensorboard.clips import ClipPictures, FixedClips
from mmat.training.tensorboard.projector import LabelSpace, Projector
from mmat.training.tensorboard.sections import (
    Configuration,
    Graph,
    Scalars,
    Section,
    Validation,
    ValidationScores,
)

SUFFIX = ".mmat"  # tells our files from those of other writers in the same folder


def tensorboard_callbacks(
    folder: str | os.PathLike,
    labels: LabelSet,
    configuration: dict | None = None,
    validation_scores: ValidationScores | None = None,
    clips: FixedClips | None = None,
    label_space: LabelSpace | None = None,
    drawn_every: int = 5,
    first_step: int | None = None,
) -> list[keras.callbacks.Callback]:
    """Return callbacks for `fit` or `mmat.training.loop.train` that fill a TensorBoard folder.

    Always: loss and learning rate of each step and epoch, and the graph. The rest where it is
    given. configuration: names and values, nested or not, shown as text and as hyper-parameters.
    validation_scores: called once after each epoch, returns truth bool `(clips, classes)` and
    scores of that shape; from it come `val_f1`, `val_map` and `val_threshold`, which are added to
    the epoch's logs where they are not there yet, each class's F1 and the precision-recall curves.
    clips: a few clips to draw and to hear. label_space: the points of the projector.
    drawn_every: epochs between pictures and curves; the first and the last are always drawn.

    Put them before other callbacks that read `val_f1`. Steps are global: where the first epoch is
    not number 0, or `first_step` is given, the folder's curves go on; what it holds beyond that
    step is dropped. A training from step 0 begins its folder anew.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    >>> model.compile("adam", "binary_crossentropy")
    >>> x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> shown = tensorboard_callbacks(folder, LabelSet.of(["Dog"]), {"batch_size": 4})
    >>> _ = model.fit(x, y, batch_size=4, verbose=0, callbacks=shown)
    >>> [path.suffix for path in folder.iterdir()]
    ['.mmat']
    """
    sections: list[Section] = [Graph()]
    if configuration is not None:
        sections.append(Configuration(configuration, labels.task))
    if label_space is not None:
        sections.append(Projector(folder, label_space))
    if validation_scores is not None:
        sections.append(Validation(validation_scores, labels.names))
    sections.append(Scalars())  # after what adds to the logs
    if clips is not None:
        sections.append(ClipPictures(clips, labels))
    return [TensorBoardCallback(folder, sections, drawn_every, first_step)]


class TensorBoardCallback(keras.callbacks.Callback):
    """Write sections to a log folder, each in its turn, at global steps."""

    def __init__(
        self,
        folder: str | os.PathLike,
        sections: Sequence[Section],
        drawn_every: int = 5,
        first_step: int | None = None,
    ):
        super().__init__()
        self.folder, self.sections = folder, sections
        self.drawn_every, self.first_step = drawn_every, first_step
        self.log: EventLog | None = None
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.log is None:  # only now it is known which step the training goes on with
            self.log = EventLog(self.folder, self._step(batch, done=self.first_step or 0))
            if self.log.is_new:
                self._each(lambda section: section.begin(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.log.step = self._step(batch, done=self.log.step) + 1
        self._each(lambda section: section.after_step(self.model, logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        if self.log is None:
            return  # an epoch without a step
        logs = {} if logs is None else logs
        drawing = epoch % self.drawn_every == 0 or epoch + 1 == self._parameter("epochs")
        self._each(lambda section: section.after_checkpoint(self.model, logs, drawing))
        self.log.flush()  # a training that is killed goes on from here

    def on_train_end(self, logs=None):
        if self.log is None:
            return
        # Also called where the training is broken off: then its epochs are not all done.
        if self.epoch + 1 == self._parameter("epochs") or getattr(
            self.model, "stop_training", False
        ):
            self._each(lambda section: section.end())
        self.log.close()
        self.log = None

    def _step(self, batch: int, done: int) -> int:
        """Return how many steps came before this batch; `done` where Keras cannot tell.

        batch counts through the epoch (`fit`) or through the training (`mmat.training.loop.train`).
        """
        steps = self._parameter("steps")
        if self.first_step is not None or not steps:
            return done
        return self.epoch * steps + batch % steps

    def _each(self, what: Callable[[Section], None]) -> None:
        with self.log.writing():
            for section in self.sections:
                what(section)

    def _parameter(self, name: str):
        return (self.params or {}).get(name)


class EventLog:
    """The event file of a training that has done `first_step` steps, and the steps it does.

    Steps are global: they go on where the folder's earlier files end. What those hold of later
    steps is dropped, since the training does them again; a training from step 0 begins anew.
    `is_new`: nothing was kept, so that what is written once must be written.
    """

    def __init__(self, folder: str | os.PathLike, first_step: int):
        self.step = first_step
        self.is_new = not forget_after(folder, first_step)
        self._writer = tf.summary.create_file_writer(os.fspath(folder), filename_suffix=SUFFIX)

    def writing(self):
        """Return a context in which `tf.summary` writes here, at the current step."""
        return self._writer.as_default(step=self.step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def forget_after(folder: str | os.PathLike, step: int) -> int:
    """Drop what the folder's event files hold of steps after `step`; return how many files stay.

    A training that was killed leaves records of steps that its last checkpoint does not hold, and
    often half a record at the end: without this, curves would double back. Step 0 drops all.
    """
    paths = sorted(pathlib.Path(folder).glob(f"*{SUFFIX}"))
    for path in paths:
        if step:
            _cut(path, step)
        else:
            path.unlink()
    return len(paths) if step else 0


def _cut(path: pathlib.Path, step: int) -> None:
    with atomic_path(path) as part, tf.io.TFRecordWriter(os.fspath(part)) as writer:
        try:
            for record in tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator():
                if tf.compat.v1.Event.FromString(record).step <= step:
                    writer.write(record)
        except tf.errors.DataLossError:
            pass  # half a record: the end of what was written
