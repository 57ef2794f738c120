"""Does the input pipeline keep ahead of the training step? Clips a second of both, side by side.

    python benchmarks/input_pipeline.py

Shards of 10 s clips are made in a temporary folder (130 MB) and read from the system's cache. Each
way of reading and each training step of the 936,041-parameter network is run in turn, several
times over; the table shows the median, the least and the most. The aim is a pipeline at least 3
times as fast as the fastest step.
"""

import argparse
import contextlib
import hashlib
import itertools
import os
import pathlib
import platform
import statistics
import tempfile
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tabulate
import tensorflow as tf

from mmat.data.batch_augment import Gain, Noise, Polarity, Turn, augmented, mixup
from mmat.data.datasets import batches, load_split
from mmat.data.records import Record, encode_example
from mmat.data.sampling import balanced_clips
from mmat.data.shards import write_index
from mmat.models.audio import audio_branch

N_CLASSES, N_SAMPLES, N_FRAMES, N_IMAGE_LABELS = 17, 160_000, 8, 1000
SOUND, BOTH = ["waveform"], ["waveform", "image_probabilities", "has_audio", "has_video"]
CHANGES = [Gain(), Turn(), Noise(), Polarity()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=400, help="clips in the shards")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, interleaved")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run of a pipeline")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_shards(pathlib.Path(folder), arguments.clips)
        pipelines = {name: endless(make(folder)) for name, make in PIPELINES.items()}
        steps = {f"step, {dtype}, batch {size}": step(dtype, size) for dtype, size in STEPS}
        rates = {name: [] for name in [*pipelines, *steps]}
        for _ in range(arguments.rounds):
            for name, clips in pipelines.items():
                rates[name].append(clips_a_second(clips, arguments.seconds))
            for name, clips in steps.items():
                rates[name].append(clips_a_second(clips, 0.0))
    show(rates, set(steps))


def write_shards(folder: pathlib.Path, n_clips: int, n_shards: int = 4) -> None:
    """Noise of the size that real clips have; every class has clips, most the first."""
    rng = np.random.default_rng(0)
    files = []
    for shard in range(n_shards):
        path = folder / f"train-{shard:05}-of-{n_shards:05}.tfrecord"
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
    split = {"clips": n_clips, "with_audio": n_clips, "with_video": n_clips, "files": files}
    index = {"schema_version": 1, "labels": [str(i) for i in range(N_CLASSES)], "clip_seconds": 10}
    index |= {"n_frames": N_FRAMES, "n_image_labels": N_IMAGE_LABELS, "splits": {"train": split}}
    write_index(folder, index)


def plain(folder, inputs):
    return load_split(folder, "train", inputs, shuffle_seed=0)


def balanced(folder, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return balanced_clips(folder, "train", 0, inputs)


def batched(clips, shuffle=True, changed=False, batch_size=32):
    if changed:
        clips = clips.apply(augmented(CHANGES, seed=0))
    # A small buffer: it is filled but once in a long training, and the runs here are short.
    ready = batches(clips, batch_size, 0 if shuffle else None, repeat=True, shuffle_buffer=64)
    return ready.apply(mixup(0.2, seed=0)) if changed else ready


PIPELINES = {
    "plain, sound": lambda folder: batched(plain(folder, SOUND)),
    "plain, sound and pictures": lambda folder: batched(plain(folder, BOTH)),
    "balanced, sound": lambda folder: batched(balanced(folder, SOUND), False),
    "balanced, sound and pictures": lambda folder: batched(balanced(folder, BOTH), False),
    "balanced, sound, changed and mixed": lambda folder: batched(
        balanced(folder, SOUND), False, True
    ),
    "balanced, both, changed and mixed": lambda folder: batched(
        balanced(folder, BOTH), False, True
    ),
}
STEPS = list(itertools.product(("float32", "mixed_bfloat16"), (32, 100)))


def endless(dataset: tf.data.Dataset):
    """Yield the size of each batch as it comes; a run opens the dataset anew."""
    return lambda: (len(labels) for _, labels in dataset)


def step(dtype: str, size: int):
    """Yield the size of a batch after each training step on it, compiled before."""
    keras.utils.set_random_seed(0)
    model = audio_branch(N_CLASSES, dtype=dtype)
    model.compile(keras.optimizers.Adam(3e-4), {"clip": "binary_crossentropy"})
    waveform = np.random.default_rng(0).normal(0, 0.1, (size, N_SAMPLES, 1)).astype(np.float32)
    inputs = {"waveform": tf.constant(waveform)}
    truth = {"clip": tf.constant(np.eye(N_CLASSES, dtype=np.float32)[np.arange(size) % N_CLASSES])}
    model.train_on_batch(inputs, truth)

    def steps():
        while True:
            model.train_on_batch(inputs, truth)
            yield size

    return steps


def clips_a_second(source, seconds: float) -> float:
    """Count clips for so many seconds, or a step, after the first batch has come."""
    with contextlib.closing(source()) as sizes:
        if seconds:
            next(sizes)
        began, n_clips = time.perf_counter(), 0
        for size in sizes:
            n_clips += size
            passed = time.perf_counter() - began
            if passed >= seconds:
                return n_clips / passed


def show(rates: dict[str, list[float]], steps: set[str]) -> None:
    fastest = max(statistics.median(rates[name]) for name in steps)
    rows = []
    for name, values in rates.items():
        median = statistics.median(values)
        ratio = "" if name in steps else f"{median / fastest:.1f}"
        rows.append([name, f"{median:.0f}", f"{min(values):.0f}", f"{max(values):.0f}", ratio])
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", end=", ")
    print(f"TensorFlow {tf.__version__}")
    head = ["clips a second", "median", "least", "most", "times the fastest step"]
    print(tabulate.tabulate(rows, head, disable_numparse=True, colalign=("left", *["right"] * 4)))


if __name__ == "__main__":
    main()
