"""A log folder of TensorBoard that a training can leave and come back to."""

import os
import pathlib

import tensorflow as tf

from mmat.errors import atomic_path

SUFFIX = ".mmat"  # tells our files from those of other writers in the same folder


class EventLog:
    """The event file of a training that has done `first_step` steps, and the steps it does.

    Steps are global: they go on where the folder's earlier files end. What those say of later
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
    """Drop what the folder's event files say of steps after `step`; return how many files stay.

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
