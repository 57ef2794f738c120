"""Trainings in processes of their own, for the tests of several devices and machines.

They are forked from one process that has loaded TensorFlow once, which takes long, and computed
nothing yet.
"""

import itertools
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from mmat.files import InputError
from mmat.training.distributed import Workers, make_strategy
from mmat.training.loop import Stopped, train
from mmat.training.recipe import Recipe
from mmat.training.step import training_step

SECONDS_AT_MOST = 120
CLASSES, BANDS = 3, 5
BATCH = 7  # two workers get 3 and 4 clips

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["mmat.training.loop"])


def start(target, folder: pathlib.Path, name: str, *arguments, environment=None):
    """Start `target(*arguments)` in a process; its output goes to `folder/name.log`."""
    log = str(folder / f"{name}.log")
    process = _server.Process(target=_run, args=(target, log, environment or {}, arguments))
    process.start()
    return process


def start_workers(folder: pathlib.Path, *arguments) -> list:
    """Start `worker(folder, *arguments)` twice, on free ports of the loopback."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {"TF_CONFIG": json.dumps(config)}
        processes.append(
            start(worker, folder, f"{index}", folder, *arguments, environment=environment)
        )
    return processes


def exit_statuses(processes: list) -> list[int | None]:
    """Wait until the processes end and return their statuses, None for one that hangs."""
    end = time.monotonic() + SECONDS_AT_MOST
    for process in processes:
        process.join(max(0, end - time.monotonic()))
    statuses = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    return statuses


def _run(target, log: str, environment: dict, arguments) -> None:
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)
    os.environ.update(environment)
    try:
        target(*arguments)
    except InputError as error:
        print(f"error: {error}")
        sys.exit(2)
    except Stopped as stopped:
        print(stopped)
        sys.exit(stopped.exit_status)


def model(dropout: bool = False) -> keras.Model:
    """A net whose first weights are always the same; with dropout it normalises batches too."""
    keras.utils.set_random_seed(3)
    level = keras.Input((BANDS,), name="level")
    hidden = keras.layers.Dense(8, "tanh")(level)
    if dropout:
        hidden = keras.layers.BatchNormalization()(hidden)
        hidden = keras.layers.Dropout(0.5)(hidden)
    clip = keras.layers.Dense(CLASSES, "sigmoid", name="clip")(hidden)
    return keras.Model({"level": level}, {"clip": clip})


def batch(number: int) -> tuple[dict, np.ndarray]:
    rng = np.random.default_rng(number)
    level = rng.normal(size=(BATCH, BANDS)).astype("float32")
    weak_labels = (level[:, :CLASSES] > 0).astype("float32")
    return {"level": level, "ids": np.array([b"clip"] * BATCH)}, weak_labels


def clipped_adam() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(0.05, clipnorm=0.01)  # every gradient here is longer


class Losses(keras.callbacks.Callback):
    """Keep the loss of every step; end the training after `stop_after` checkpoints."""

    def __init__(self, stop_after: int = 1000):
        super().__init__()
        self.losses, self.stop_after = [], stop_after

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.stop_after:
            self.model.stop_training = True


def short_training(folder: pathlib.Path, strategy=None, dropout=False, incident=None) -> dict:
    """Train on all machines of a strategy and return what came of it as arrays.

    incident: for a worker's number and a step, a signal that the worker then sends itself.
    """
    with (strategy or tf.distribute.get_strategy()).scope():
        net, optimizer = model(dropout), clipped_adam()
    index = Workers(strategy).index

    def batches_from(step):
        for number in itertools.count(step):
            if incident and (index, number) == tuple(incident[:2]):
                os.kill(os.getpid(), signal.Signals[incident[2]])
            yield batch(number)

    checked = itertools.count()

    def validate(net):
        # Only by the chief's figures the loss stays, so that the learning rate is halved.
        return {"val_loss": 1.0 if index == 0 else 1.0 - next(checked)}

    kept = Losses(stop_after=4)
    recipe = Recipe(BATCH, steps_per_checkpoint=10, checkpoints=5, patience=1)
    history = train(
        net,
        batches_from,
        recipe,
        folder / f"run-{index}",  # the chief's alone is used
        validate,
        optimizer=optimizer,
        callbacks=[kept],
        strategy=strategy,
    )
    return {
        "step_losses": np.array(kept.losses),
        "losses": np.array([each["loss"] for each in history.checkpoints]),
        "rates": np.array([each["learning_rate"] for each in history.checkpoints]),
        "weights": flat(net.weights),
        "optimizer": flat(optimizer.variables),
    }


def worker(folder: pathlib.Path, dropout: bool, incident=None) -> None:
    strategy = make_strategy("workers")
    index = Workers(strategy).index
    results = short_training(folder, strategy, dropout, incident)
    np.savez(folder / f"results-{index}.npz", **results)


def flat(variables) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(x)).astype("float64") for x in variables])


def mirrored(folder: pathlib.Path) -> None:
    """Save what two logical devices of this CPU make of a training, and what one makes of it."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    results = {}
    for name, strategy in (("one", None), ("two", two)):
        for kind, results_of in (
            ("clipped", lambda s: _steps(s, clipped_adam)),
            ("scaled", lambda s: _steps(s, _scaled)),
            ("overflown", _overflown),
            ("dropped", _dropped),
            ("normalised", _normalised),
        ):
            for key, values in results_of(strategy).items():
                results[f"{kind} {key} {name}"] = values
    np.savez(folder / "mirrored.npz", **results)


def _scaled() -> keras.optimizers.Optimizer:
    return keras.optimizers.LossScaleOptimizer(clipped_adam())


def _steps(strategy, make_optimizer) -> dict:
    with (strategy or tf.distribute.get_strategy()).scope():
        net, optimizer = model(), make_optimizer()
    step = training_step(net, optimizer, strategy)
    losses = []
    for number in range(5):
        inputs, weak_labels = batch(number)
        losses.append(float(step({"level": inputs["level"]}, weak_labels)))
    return {
        "losses": np.array(losses),
        "weights": flat(net.weights),
        "optimizer": flat(optimizer.variables),
    }


def _overflown(strategy) -> dict:
    """What a step does whose scaled gradient is no number, by the second clip alone."""
    with (strategy or tf.distribute.get_strategy()).scope():
        net = _neuron()
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(1.0), initial_scale=2.0**127
        )
    level = np.float32([[0.0], [16.0]]) * np.ones(64, "float32")
    loss = training_step(net, optimizer, strategy)({"level": level}, np.ones((2, 1), "float32"))
    scale = np.asarray(optimizer.dynamic_scale)
    return {"loss": float(loss), "weights": flat(net.weights), "scale": scale}


def _dropped(strategy) -> dict:
    """How far a step moves each weight behind a dropout, where two clips are the same."""
    with (strategy or tf.distribute.get_strategy()).scope():
        net, optimizer = _neuron(dropout=0.5), keras.optimizers.SGD(1.0)
    step = training_step(net, optimizer, strategy)
    step({"level": np.ones((2, 64), "float32")}, np.ones((2, 1), "float32"))
    kernel = np.asarray(net.trainable_variables[0])
    return {"kernel": kernel, "seeds": flat(net.non_trainable_variables)}


def _normalised(strategy) -> dict:
    """The moving mean of a batch normalisation after a step."""
    with (strategy or tf.distribute.get_strategy()).scope():
        net, optimizer = model(dropout=True), clipped_adam()
    inputs, weak_labels = batch(0)
    training_step(net, optimizer, strategy)({"level": inputs["level"]}, weak_labels)
    (layer,) = [x for x in net.layers if isinstance(x, keras.layers.BatchNormalization)]
    return {"mean": np.asarray(layer.moving_mean)}


def _neuron(dropout: float = 0.0) -> keras.Model:
    """One neuron with weights of 0 behind a dropout: every clip gets 0.5."""
    level = keras.Input((64,), name="level")
    clip = keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros", name="clip")
    hidden = keras.layers.Dropout(dropout, seed=1)(level)
    return keras.Model({"level": level}, {"clip": clip(hidden)})
