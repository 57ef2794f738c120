"""mmat's input pipelines over made shards."""

import contextlib
import hashlib
import pathlib
import time
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.contest import Seconds
from benchmarks.waveforms import N_SAMPLES
from mmat.labels import LabelSet
from mmat.shards.corpus import open_corpus
from mmat.shards.folder import LABELS_FILE, write_index
from mmat.shards.read import batches, load_split
from mmat.shards.record import Record, encode_example
from mmat.shards.sampling import batches_from

N_CLASSES, N_FRAMES, N_IMAGE_LABELS, BATCH_SIZE = 17, 8, 1000, 32
SOUND, BOTH = ["waveform"], ["waveform", "image_probabilities", "has_audio", "has_video"]


def write_shards(folder: str, n_clips: int, split: str = "train", n_shards: int = 4) -> None:
    """Noise of the size that real clips have; every class has clips, most the first."""
    folder, rng = pathlib.Path(folder), np.random.default_rng(0)
    folder.mkdir()
    files = []
    for shard in range(n_shards):
        path = folder / f"{split}-{shard:05}-of-{n_shards:05}.tfrecord"
        numbers = range(shard, n_clips, n_shards)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for i in numbers:
                sound = rng.integers(-3000, 3000, N_SAMPLES).astype(np.int16)
                pictures = rng.random((N_FRAMES, N_IMAGE_LABELS)).astype(np.float16)
                labels = (i % N_CLASSES if i < 4 * N_CLASSES else 0,)
                writer.write(encode_example(Record(str(i), sound, pictures, labels)))
        whole = path.read_bytes()
        entry = {"name": path.name, "clips": len(numbers), "bytes": len(whole)}
        files.append(entry | {"sha256": hashlib.sha256(whole).hexdigest()})
    entry = {"clips": n_clips, "with_audio": n_clips, "with_video": n_clips, "files": files}
    names = LabelSet.of(f"class {number}" for number in range(N_CLASSES))
    names.to_csv(folder / LABELS_FILE)
    index = {"schema_version": 1, "labels": list(names.names), "clip_seconds": 10}
    index |= {"n_frames": N_FRAMES, "n_image_labels": N_IMAGE_LABELS, "splits": {split: entry}}
    write_index(folder, index)


def plain(folder, inputs):
    clips = load_split(folder, "train", inputs, shuffle_seed=0)
    # A small buffer: it is filled but once in a long training, and the runs here are short.
    return batches(clips, BATCH_SIZE, 0, repeat=True, shuffle_buffer=64)


def of_corpus(folder, inputs):
    return open_corpus(folder, hold_out=False).batches("train", BATCH_SIZE, inputs).repeat()


def balanced(folder, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return batches_from(folder, "train", BATCH_SIZE, 0, inputs)(0)


PIPELINES = {
    "plain, sound": lambda folder: plain(folder, SOUND),
    "plain, sound and pictures": lambda folder: plain(folder, BOTH),
    "a corpus, sound": lambda folder: of_corpus(folder, SOUND),
    "a corpus, sound and pictures": lambda folder: of_corpus(folder, BOTH),
    "balanced, sound": lambda folder: balanced(folder, SOUND),
    "balanced, sound and pictures": lambda folder: balanced(folder, BOTH),
}


def batch_seconds(folder: str, pipeline: str, seconds: float) -> Callable:
    """Return a run that takes batches for so long, after the first, and says the seconds of one."""
    dataset = PIPELINES[pipeline](folder)

    def run() -> Seconds:
        # Opened anew in each run: else it would fill its buffers while others run.
        with contextlib.closing(iter_batches(dataset)) as taken:
            next(taken)
            began, n_batches = time.perf_counter(), 0
            while (passed := time.perf_counter() - began) < seconds or not n_batches:
                next(taken)
                n_batches += 1
        return Seconds(passed / n_batches)

    return run


def iter_batches(dataset: tf.data.Dataset):
    yield from dataset
