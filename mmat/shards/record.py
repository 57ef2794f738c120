"""The record of one clip in a TFRecord shard: schema version 1.

| feature | kind | what |
| --- | --- | --- |
| id | bytes | the clip's id, UTF-8 |
| audio | bytes | int16 little endian, 16 kHz mono; empty without sound |
| image_probabilities | bytes | float16 little endian, n_frames × n_image_labels; may be empty |
| n_frames, n_image_labels | int64 | shape of the probabilities; 0 where there are none |
| has_audio, has_video | int64 | 1 if the record holds sound; probabilities or pictures |
| labels | int64 list | weak labels, as positions in the label set |
| label_values | float list | in a regression the value of each label; else missing |
| event_labels | int64 list | strong labels, in the order of the times |
| event_onset_seconds, event_offset_seconds | float list | strong times within the clip |
| frames_jpeg | bytes list | the pictures themselves, where they were kept |

These are there only where an audio encoder was asked for, and a clip has what they are about:

| feature | kind | what |
| --- | --- | --- |
| n_patches | int64 | how many patches the encoder heard |
| sound_scores, sound_embeddings | bytes | float16 little endian, n_patches × n_labels or size |
| image_embeddings | bytes | float16 little endian, n_frames × size |
| source_groups | bytes list | the clip's source groups, UTF-8 |

TensorFlow's writer of TFRecord files cannot append. So `framed` lets it write a record, with the
checksums around it, to a file in memory, and the bytes are appended to the shard from there.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

SCHEMA_VERSION = 1
INT16_SCALE = 32768.0
# The features and the type of their values, for writing and reading them, in a graph or not.
FEATURES = {
    "id": tf.string,
    "audio": tf.string,
    "image_probabilities": tf.string,
    "n_frames": tf.int64,
    "n_image_labels": tf.int64,
    "has_audio": tf.int64,
    "has_video": tf.int64,
    "labels": tf.int64,
    "label_values": tf.float32,
    "event_labels": tf.int64,
    "event_onset_seconds": tf.float32,
    "event_offset_seconds": tf.float32,
    "frames_jpeg": tf.string,
    "n_patches": tf.int64,
    "sound_scores": tf.string,
    "sound_embeddings": tf.string,
    "image_embeddings": tf.string,
    "source_groups": tf.string,
}
MATRICES = ("sound_scores", "sound_embeddings", "image_embeddings")  # of frozen networks
# The field of a tf.train.Feature that holds values of a type.
_LISTS = {tf.string: "bytes_list", tf.int64: "int64_list", tf.float32: "float_list"}
HEAD_BYTES, TAIL_BYTES = 12, 4  # length and its checksum before a record, its own after it
FRAME_BYTES = HEAD_BYTES + TAIL_BYTES


@dataclasses.dataclass(frozen=True)
class Record:
    """What is stored of one clip.

    audio: int16 (samples,), 16 kHz mono, or None without sound. image_probabilities: (n_frames,
    n_image_labels), or None without pictures. labels: positions in the label set. events: (label
    position, onset seconds, offset seconds). frames_jpeg: the pictures as JPEG files. values: in a
    regression one for each label, else empty. sound_scores, sound_embeddings: (n_patches, size), or
    None without sound, scores or an encoder. image_embeddings: (n_frames, size), or None.
    source_groups: names, empty where they were not kept.
    """

    id: str
    audio: np.ndarray | None = None
    image_probabilities: np.ndarray | None = None
    labels: tuple[int, ...] = ()
    events: tuple[tuple[int, float, float], ...] = ()
    frames_jpeg: tuple[bytes, ...] = ()
    values: tuple[float, ...] = ()
    sound_scores: np.ndarray | None = None
    sound_embeddings: np.ndarray | None = None
    image_embeddings: np.ndarray | None = None
    source_groups: tuple[str, ...] = ()

    @property
    def n_patches(self) -> int:
        """How many patches an audio encoder heard; 0 without sound or encoder."""
        return 0 if self.sound_embeddings is None else len(self.sound_embeddings)

    def weak_labels(self, n_classes: int) -> np.ndarray:
        """Return float32 `(classes,)`: 1 for a label, or its value, and 0 elsewhere."""
        weak_labels = np.zeros(n_classes, np.float32)
        weak_labels[list(self.labels)] = self.values or 1.0
        return weak_labels


def encode_example(record: Record) -> bytes:
    """Return a record as a serialized tf.train.Example.

    >>> decode_example(encode_example(Record("a", labels=(1,)))).labels
    (1,)
    """
    audio, probabilities = record.audio, record.image_probabilities
    n_frames, n_image_labels = (0, 0) if probabilities is None else probabilities.shape
    event_labels, onsets, offsets = zip(*record.events, strict=True) if record.events else [()] * 3
    features = {
        "id": [record.id.encode()],
        "audio": [b"" if audio is None else audio.astype("<i2").tobytes()],
        "image_probabilities": [
            b"" if probabilities is None else probabilities.astype("<f2").tobytes()
        ],
        "n_frames": [n_frames],
        "n_image_labels": [n_image_labels],
        "has_audio": [int(audio is not None)],
        "has_video": [int(probabilities is not None or len(record.frames_jpeg) > 0)],
        "labels": record.labels,
        "event_labels": event_labels,
        "event_onset_seconds": onsets,
        "event_offset_seconds": offsets,
        "frames_jpeg": record.frames_jpeg,
    }
    features |= _present(record)
    example = tf.train.Example()
    for name, values in features.items():
        _values(example, name).extend(values)
    # Else the order of the features is that of a hash table, and differs between processes.
    return example.SerializeToString(deterministic=True)


def decode_example(serialized: bytes) -> Record:
    """Return the record of a serialized example, outside of any graph."""
    example = tf.train.Example.FromString(serialized)
    found = {name: _values(example, name) for name in FEATURES}
    shape = (found["n_frames"][0], found["n_image_labels"][0])
    probabilities = np.frombuffer(found["image_probabilities"][0], "<f2")
    audio = np.frombuffer(found["audio"][0], "<i2")
    events = (found[f"event_{part}"] for part in ("labels", "onset_seconds", "offset_seconds"))
    return Record(
        id=found["id"][0].decode(),
        audio=audio if found["has_audio"][0] else None,
        image_probabilities=probabilities.reshape(shape) if shape[0] else None,
        labels=tuple(found["labels"]),
        events=tuple(zip(*events, strict=True)),
        frames_jpeg=tuple(found["frames_jpeg"]),
        values=tuple(found["label_values"]),
        sound_scores=_matrix(found, "sound_scores", "n_patches"),
        sound_embeddings=_matrix(found, "sound_embeddings", "n_patches"),
        image_embeddings=_matrix(found, "image_embeddings", "n_frames"),
        source_groups=tuple(name.decode() for name in found["source_groups"]),
    )


def _present(record: Record) -> dict:
    """Return the optional features that a record has: without them its bytes are as of old."""
    features = {
        "label_values": record.values,
        "n_patches": [record.n_patches] if record.n_patches else [],
        "source_groups": [name.encode() for name in record.source_groups],
    }
    for name in MATRICES:
        matrix = getattr(record, name)
        features[name] = [] if matrix is None else [matrix.astype("<f2").tobytes()]
    return {name: values for name, values in features.items() if len(values)}


def _matrix(found: dict, name: str, n_rows: str) -> np.ndarray | None:
    if not found[name]:
        return None
    return np.frombuffer(found[name][0], "<f2").reshape(found[n_rows][0], -1)


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Return a float waveform in [-1, 1] as int16; samples outside are clipped.

    >>> to_int16(np.array([-2.0, -0.5, 0.0, 2.0])).tolist()
    [-32768, -16384, 0, 32767]
    """
    # First to [-1, 1]: the product of a damaged file's samples would overflow.
    return np.round(np.clip(waveform, -1, 1) * INT16_SCALE).clip(max=32767).astype("<i2")


def to_float32(audio: np.ndarray) -> np.ndarray:
    """Return int16 samples as float32 in [-1, 1)."""
    return audio.astype(np.float32) / np.float32(INT16_SCALE)


def framed(serialized: bytes) -> bytes:
    """Return the bytes of one record in a TFRecord file.

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


def _values(example: tf.train.Example, name: str):
    """Return the list of a feature's values, to be read or extended."""
    values = getattr(example.features.feature[name], _LISTS[FEATURES[name]])
    values.SetInParent()  # an empty list is one of its type
    return values.value
