"""The plain loop: each clip of a list read, resampled and written, one after the other.

python benchmarks/peers/plain_prepare.py LIST MEDIA OUT
"""

import csv
import pathlib
import sys

import numpy as np
import soundfile
import soxr
import tensorflow as tf

clips, media, out = sys.argv[1:]
pathlib.Path(out).mkdir()
with (
    open(clips, newline="") as file,
    tf.io.TFRecordWriter(str(pathlib.Path(out, "clips.tfrecord"))) as writer,
):
    for row in csv.DictReader(file):
        with soundfile.SoundFile(pathlib.Path(media, row["file"])) as sound:
            rate = sound.samplerate
            sound.seek(round(float(row["start_seconds"]) * rate))
            samples = sound.read(10 * rate, dtype="float32")
        mono = soxr.resample(samples.mean(axis=1), rate, 16_000)
        audio = np.round(mono.clip(-1, 1) * 32767).astype("<i2").tobytes()
        values = {"id": row["id"].encode(), "audio": audio, "labels": row["labels"].encode()}
        feature = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            for name, value in values.items()
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        writer.write(example.SerializeToString())
