"""A training that is killed and called again: prints for each run how it ended and what it said.

TensorFlow is imported once; every run is a fork of the process, made before TensorFlow starts any
thread. Only the first begins from the same weights and seeds: the others must get all from the
checkpoints.
"""

import json
import os
import pathlib
import resource
import signal
import sys

import keras
import tensorflow as tf

from mmat.models.augment import RandomFilter, SpecAugment
from mmat.models.pooling import MILPooling
from mmat.shards.sampling import batches_from, clips_once
from mmat.training.loop import Stopped, train
from mmat.training.recipe import Recipe
from mmat.training.step import clip_loss

shards, out = sys.argv[1:3]
INPUTS = ("waveform", "ids")
RECIPE = Recipe(batch_size=4, learning_rate=0.01, steps_per_checkpoint=5, checkpoints=4, patience=1)


def tagger():
    waveform = keras.Input((None, 1), name="waveform")
    x = keras.layers.Reshape((-1, 40, 1))(waveform)
    for layer in (RandomFilter(0.5, seed=1), SpecAugment(0.2, 0.2, seed=2)):
        x = layer(x)
    x = keras.layers.Conv2D(4, 3, strides=3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.3)(keras.layers.Reshape((-1, 52))(x))
    frame = keras.layers.Dense(3, "sigmoid")(x)
    return keras.Model({"waveform": waveform}, {"clip": MILPooling()(frame)})


def validate(model):
    inputs, weak_labels = next(iter(clips_once(shards, "train", INPUTS).batch(30)))
    return {"val_loss": clip_loss(model({"waveform": inputs["waveform"]}), weak_labels)}


class Ends(keras.callbacks.Callback):
    def __init__(self, how, after):
        self.how, self.after = how, after

    def on_train_batch_end(self, step, logs=None):
        if step + 1 != self.after:
            return
        if self.how == "in a write":  # the system kills it in the middle of the next file
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        else:
            os.kill(os.getpid(), getattr(signal, self.how))


def run(folder, seed, how, after, lines):
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    batches = batches_from(shards, "train", RECIPE.batch_size, RECIPE.seed, INPUTS)

    def log(line):
        os.write(lines, f"{line}\n".encode())

    try:
        train(tagger(), batches, RECIPE, folder, validate, callbacks=[Ends(how, after)], log=log)
    except Stopped as stopped:
        log(stopped)
        return stopped.exit_status
    return 0


def run_apart(folder, seed, how="", after=0):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = run(pathlib.Path(out, folder), seed, how, after, write)
        finally:
            os._exit(status)
    os.close(write)
    with open(read) as lines:
        told = [line for line in lines.read().splitlines() if not line.startswith("cost: ")]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([how, status, told]), flush=True)


run_apart("whole", 0)
run_apart("killed", 0, "SIGTERM", 3)
run_apart("killed", 1, "SIGKILL", 8)
run_apart("killed", 2, "in a write", 9)
assert any(path.name.startswith(".step-") for path in pathlib.Path(out, "killed").glob("*/.*"))
run_apart("killed", 3, "SIGKILL", 14)
newest = max(pathlib.Path(out, "killed", "checkpoints").glob("step-*"))
newest.write_bytes(newest.read_bytes()[:-100])
run_apart("killed", 4)
