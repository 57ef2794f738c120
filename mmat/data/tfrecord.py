"""TFRecord files as plain files: appended to one record at a time, and read up to where they break.

TensorFlow's own writer cannot append. So it writes each record, with the checksums around it, to
a file in memory, and the bytes go from there to a file whose errors are the system's own.
"""

import os
import pathlib
from collections.abc import Iterator

import tensorflow as tf

HEAD_BYTES, TAIL_BYTES = 12, 4  # length and its checksum before a record, its own after it
FRAME_BYTES = HEAD_BYTES + TAIL_BYTES


def framed(serialized: bytes) -> bytes:
    """Return one record as it stands in a TFRecord file.

    >>> len(framed(b"four")) - len(b"four") == FRAME_BYTES
    True
    """
    file = os.memfd_create("record")
    try:
        with tf.io.TFRecordWriter(f"/proc/self/fd/{file}") as writer:
            writer.write(serialized)
        return os.pread(file, len(serialized) + FRAME_BYTES, 0)
    finally:
        os.close(file)


def whole_records(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the records of a file up to the first that is cut off or damaged."""
    path = pathlib.Path(path)
    if not path.is_file():
        return
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError:
        return
