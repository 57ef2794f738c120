"""10 s of sound from a file to scores, warm: where the milliseconds go.

    python -m benchmarks.parts

Files of 10 s: WAV at 16 kHz, and 44.1 kHz of two channels as WAV, FLAC and MP3. The model is the
936,041-parameter audio branch with 17 classes, untrained, since its weights' values cost nothing.
Parts: reading and resampling the file, log-mel, the network up to the frame scores, pooling, each a
graph of its own. Wholes: the file through the export's `audio_only`, through its `tag_wav`, and
through `Tagger.tag` with its windows and events. All run in turn, on files in the system's cache;
medians of wall-clock time with the least and the most. The least is what a machine without other
work takes.
"""

import argparse
import os
import pathlib
import tempfile
import time
from collections.abc import Callable

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np
import tensorflow as tf
from tabulate import tabulate

from benchmarks.contest import Contest, Reading, spread
from benchmarks.made_media import write_sound
from benchmarks.measuring import measure
from benchmarks.ours.networks import bundle
from benchmarks.waveforms import N_SAMPLES, SECONDS
from mmat.export.litert import TFLiteTagger, export_tflite
from mmat.export.savedmodel import export_saved_model
from mmat.media.read import read_audio
from mmat.models.fast_cpu import fast_cpu
from mmat.tagging.tagger import Tagger

FILES = {"16 kHz.wav": (16000, 1), "a.wav": (44100, 2), "a.flac": (44100, 2), "a.mp3": (44100, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="runs of each, interleaved")
    rounds = parser.parse_args().rounds
    crnn = bundle("crnn", "float32")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = [write_sound(folder / name, SECONDS, *kind) for name, kind in FILES.items()]
        export = export_saved_model(crnn, folder / "export")
        parts = {f"read {path.name}": bind(read_audio, path) for path in files}
        parts |= network_parts(crnn.model, read_audio(files[0]))
        parts |= wholes(export, files)
        for kind in ("", "int8"):
            tagger = TFLiteTagger(export_tflite(crnn, folder / f"a{kind}.tflite", kind))
            waveform = as_batch(read_audio(files[0]))
            parts[f"TensorFlow Lite {kind or 'float32'}, one thread"] = bind(tagger, waveform)
        runs = {name: timed(part) for name, part in parts.items()}
        readings = measure(Contest("parts", runs, (), rounds, budget_seconds=float("inf")))
    print(f"{os.cpu_count()} cores, TensorFlow {tf.__version__}\n")
    rows = []
    for name, its in readings.items():
        ms = spread([1000 * reading.seconds for reading in its])
        rows.append([name, *(f"{ms[which]:.1f}" for which in ("median", "min", "max"))])
    print(tabulate(rows, ["10 s of sound", "ms", "least", "most"], "github"))


def network_parts(model: keras.Model, waveform: np.ndarray) -> dict:
    """Return the model cut in three, each with what the one before gives it."""
    mel_out, frame = model.get_layer("band_normalization").input, model.output["frame"]
    cuts = {
        "log-mel": keras.Model(model.input, mel_out),
        "network": keras.Model(mel_out, frame),
        "pooling": keras.Model(frame, model.output["clip"]),
    }
    x, parts = {"waveform": as_batch(waveform)}, {}
    for name, part in cuts.items():
        run = tf.function(lambda x, part=part: part(x, training=False))
        parts[name] = bind(lambda run, x: run(x).numpy(), run, x)
        with fast_cpu(part):
            x = run(x)
    return parts


def wholes(export: pathlib.Path, files: list[pathlib.Path]) -> dict:
    loaded, tagger = tf.saved_model.load(str(export)), Tagger(export)

    def through_export(path):
        # The loaded model is named here, since its signatures alone do not hold its variables.
        outputs = loaded.signatures["audio_only"](waveform=as_batch(read_audio(path)))
        return outputs["frame"].numpy()

    def through_tag_wav(path):
        outputs = loaded.signatures["tag_wav"](wav=tf.constant(path.read_bytes()))
        return outputs["frame"].numpy()

    parts = {f"export on {path.name}": bind(through_export, path) for path in files}
    parts[f"tag_wav on {files[0].name}"] = bind(through_tag_wav, files[0])
    return parts | {f"Tagger.tag on {path.name}": bind(tagger.tag, path) for path in files}


def as_batch(waveform: np.ndarray) -> tf.Tensor:
    return tf.constant(waveform[np.newaxis, :N_SAMPLES, np.newaxis])


def bind(function: Callable, *arguments) -> Callable:
    return lambda: function(*arguments)


def timed(part: Callable) -> Callable[[], Reading]:
    def run() -> Reading:
        began = time.perf_counter()
        part()
        return Reading(time.perf_counter() - began)

    return run


if __name__ == "__main__":
    main()
