"""The training loop: one for one device, several, and several machines.

It is a plain loop, not `fit`, for what `fit` does not do: it goes on bit for bit where it was
killed, stops at the first loss of NaN or infinity and names the clips, and runs on several
machines. Ctrl-C and SIGTERM end a training between two steps, so that what was learnt is saved
first.
"""

import dataclasses
import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
import tqdm

from mmat.files import InputError
from mmat.labels import MULTI_LABEL, Task
from mmat.signals import SIGNALS, StopRequest
from mmat.startup import on_terminal
from mmat.training.checkpoints import Checkpoints, Progress, settings_of
from mmat.training.distributed import Workers
from mmat.training.precision import TIMED_SECONDS, Cost, measure_cost
from mmat.training.recipe import History, Recipe
from mmat.training.step import all_finite, describe_batch, training_step

BatchesFrom = Callable[[int], tf.data.Dataset]
Validate = Callable[[keras.Model], dict[str, float]]


class Stopped(KeyboardInterrupt):
    """A training that a signal ended in good order; `exit_status` is that of the process."""

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status


def train(
    model: keras.Model,
    batches_from: BatchesFrom,
    recipe: Recipe,
    folder: str | os.PathLike,
    validate: Validate,
    *,
    monitor: str = "val_loss",
    optimizer: keras.optimizers.Optimizer | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
    task: Task = MULTI_LABEL,
    about: Mapping[str, object] = {},
    log: Callable[[str], None] = print,
) -> History:
    """Train a model by a recipe, from the last checkpoint in `folder` if there is one.

    batches_from: for a step, the dataset without end of (inputs, weak labels) that begins with
    that step's batch. A batch depends on its number alone, as those of `mmat.shards.sampling` do.
    Clip ids among the inputs (`ids`) are kept from the model and named in errors. validate: the
    figures of the model as it is, at every checkpoint. The model is left as the last step made it;
    `mmat.training.checkpoints.load_best` gives the best.

    monitor: the figure by which the best checkpoint is chosen. optimizer: Adam at the recipe's
    rate. callbacks: a checkpoint is an epoch to them, and steps count through the whole training.
    strategy: model and optimizer are made in its scope. task: whose loss is learnt by. about: what
    else tells this training from another, such as the labels. log: called with
    each line of progress.

    Several machines (`mmat.training.distributed.make_strategy`) all call this with the same
    arguments. The chief alone has callbacks, logs and writes; of `folder` only the chief's is read,
    the others get all of it from the chief. All validate, and the chief's figures count. A signal
    to any of them stops all. Where one is gone the others raise InputError in 10 seconds or so.

    Killed and called again with the same arguments it ends with the same weights, bit for bit, if
    TensorFlow computes the same twice (`tf.config.experimental.enable_op_determinism`, as many
    threads). Raises InputError for a folder of another training, and for NaN or infinity
    in loss or weights; Stopped (a KeyboardInterrupt), everything saved, after SIGINT or SIGTERM.
    """
    with (strategy or tf.distribute.get_strategy()).scope():
        optimizer = optimizer or keras.optimizers.Adam(recipe.learning_rate)
        optimizer = _scaled_if_needed(model, optimizer)
    step, workers = training_step(model, optimizer, strategy, task), Workers(strategy)
    log = log if workers.is_chief else lambda line: None
    kept = ("batch_size", "learning_rate", "steps_per_checkpoint", "patience", "seed")
    settings = settings_of(
        model, optimizer, monitor=monitor, **{x: getattr(recipe, x) for x in kept}, **about
    )
    store = Checkpoints(folder, settings, recipe.keep, log)
    progress = Progress(History(monitor))
    run = _Run(
        model, optimizer, step, batches_from, recipe, store, validate, workers, progress, log
    )
    with workers.error_if_gone(run.way_on):
        run.load()
        history = run.progress.history
        if len(history.checkpoints) >= recipe.checkpoints:
            log(f"{folder}: trained already, best at step {history.best['step']}")
            workers.part()
            return history
        if run.saved_step:
            log(f"{folder}: goes on from step {run.saved_step} of {recipe.steps}")
        log(str(run.cost()))
        run.all(callbacks if workers.is_chief else ())
        workers.part()
    return history


@dataclasses.dataclass
class _Run:
    """One call of `train`, from where it begins to its end."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    step: Callable
    batches_from: BatchesFrom
    recipe: Recipe
    store: Checkpoints
    validate: Validate
    workers: Workers
    progress: Progress
    log: Callable[[str], None]
    saved_step: int = 0

    def load(self) -> None:
        """Resume from what was saved, on each machine from what the chief has."""
        if self.workers.is_chief:
            if loaded := self.store.load(self.model, self.optimizer):
                self.progress, self.saved_step = loaded, loaded.step
            else:
                self.save()
        own = {"settings": self.store.settings, "checkpoints": self.recipe.checkpoints}
        own, progress = json.dumps(own), dataclasses.asdict(self.progress)
        of_all, progress = json.loads(self.workers.from_chief(json.dumps([own, progress]).encode()))
        if own != of_all:
            raise InputError(
                f"worker {self.workers.index} was not started as worker 0 was: another model, "
                "recipe or labels; give all workers the same command"
            )
        self.progress = Progress.of(progress)
        self.saved_step = self.progress.step
        self.workers.follow_chief([*self.model.variables, *self.optimizer.variables])

    def save(self) -> None:
        if self.workers.is_chief:
            self.store.save(self.progress, self.model, self.optimizer)
        self.saved_step = self.progress.step

    def way_on(self) -> str:
        """Return what to do where the training broke off."""
        return f"start all workers again, they go on from step {self.saved_step}"

    def cost(self) -> Cost:
        return measure_cost(
            self.model,
            self.optimizer,
            self.step_of_all,
            self.batches(),
            self.recipe,
            self.progress.step,
            lambda seconds: self.workers.anyone([seconds > TIMED_SECONDS])[0],
        )

    def step_of_all(self, inputs: dict, weak_labels: tf.Tensor) -> tf.Tensor:
        """Take a step by a whole batch, of which this machine computes its share."""
        return self.step(*self.workers.own_share(inputs, weak_labels))

    def all(self, callbacks) -> None:
        recipe, history = self.recipe, self.progress.history
        listeners = keras.callbacks.CallbackList(
            list(callbacks),
            model=self.model,
            epochs=recipe.checkpoints,
            steps=recipe.steps_per_checkpoint,
        )
        self.model.stop_training = False
        batches = self.batches()
        listeners.on_train_begin()
        try:
            with StopRequest() as request:
                while len(history.checkpoints) < recipe.checkpoints and not self.is_ended():
                    epoch = len(history.checkpoints)
                    listeners.on_epoch_begin(epoch)
                    self.steps(batches, listeners, request)
                    listeners.on_epoch_end(epoch, self.checkpoint())
                    self.stop_if_asked(request)
        finally:
            listeners.on_train_end()

    def is_ended(self) -> bool:
        """Return whether a callback, which the chief alone has, ended the training."""
        return self.workers.anyone([self.model.stop_training])[0]

    def batches(self) -> Iterator[tuple[dict, tf.Tensor]]:
        """Yield batches from the step that is next, without the clips' ids."""
        for inputs, weak_labels in self.batches_from(self.progress.step):
            yield {name: x for name, x in inputs.items() if name != "ids"}, weak_labels

    def steps(self, batches, listeners, request) -> None:
        """Take the steps up to the next checkpoint."""
        progress, n_steps = self.progress, self.recipe.steps_per_checkpoint
        end = (len(progress.history.checkpoints) + 1) * n_steps
        bar = tqdm.tqdm(total=n_steps, initial=n_steps - (end - progress.step), unit=" steps",
                        leave=False, disable=not on_terminal())  # fmt: skip
        with bar:
            while progress.step < end:
                listeners.on_train_batch_begin(progress.step)
                if (batch := next(batches, None)) is None:
                    raise InputError(f"step {progress.step}: the batches ended; they must go on")
                loss = float(self.step_of_all(*batch))
                self.check(loss)
                progress.losses.append(loss)
                logs = {"loss": loss, "learning_rate": _rate(self.optimizer)}
                listeners.on_train_batch_end(progress.step, logs)
                progress.step += 1
                bar.update()
                self.stop_if_asked(request)

    def check(self, loss: float) -> None:
        """Raise InputError if the loss, or the weights that it gave, hold NaN or infinity."""
        if not math.isfinite(loss):
            what = f"the loss is {loss}"
        elif not all_finite(self.model.weights):
            what = f"the loss is {loss:.4g} and the weights that came of it hold NaN or infinity"
        else:
            return
        batch = next(iter(self.batches_from(self.progress.step)))
        raise InputError(f"step {self.progress.step}: {what}; {describe_batch(batch)}")

    def checkpoint(self) -> dict[str, float]:
        """Validate, halve the rate if it is time, save; return the figures."""
        progress, history = self.progress, self.progress.history
        # All machines validate, since Keras may sum over them; what the chief finds counts.
        own = {name: float(x) for name, x in self.validate(self.model).items()}
        figures = {
            "loss": float(np.mean(progress.losses)),
            "learning_rate": _rate(self.optimizer),
            **json.loads(self.workers.from_chief(json.dumps(own).encode())),
        }
        progress.losses = []
        history.checkpoints.append({"step": progress.step, **figures})
        watched = "val_loss" if "val_loss" in figures else history.monitor
        if watched not in figures or history.monitor not in figures:
            raise InputError(
                f"validation gives no {history.monitor}; it gives {', '.join(figures)}"
            )
        progress.waited += 1
        if history.best_by(watched) is history.checkpoints[-1]:
            progress.waited = 0
        elif progress.waited >= self.recipe.patience and not _has_schedule(self.optimizer):
            progress.waited = 0
            self.optimizer.learning_rate = figures["learning_rate"] / 2
        self.save()
        shown = ", ".join(f"{name} {x:.4g}" for name, x in figures.items())
        of = f"{len(history.checkpoints)} of {self.recipe.checkpoints}"
        self.log(f"checkpoint {of}, step {progress.step}: {shown}")
        return figures

    def stop_if_asked(self, request: StopRequest) -> None:
        """Save and raise Stopped if a signal came, to whichever machine."""
        came = self.workers.anyone([request.signal_number == number for number in SIGNALS])
        if not any(came):
            return
        number = SIGNALS[came.index(True)]
        self.save()
        self.workers.part()
        raise Stopped(
            f"stopped by {signal.Signals(number).name} and saved at step {self.progress.step} of "
            f"{self.recipe.steps}; the same command goes on from there",
            128 + number,
        )


def _rate(optimizer) -> float:
    return float(np.asarray(optimizer.learning_rate))  # under a strategy no number itself


def _has_schedule(optimizer) -> bool:
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return isinstance(inner.get_config().get("learning_rate"), dict)


def _scaled_if_needed(model: keras.Model, optimizer):
    """Return an optimizer that scales the loss, where a layer computes in float16."""
    low = any(layer.compute_dtype == "float16" for layer in model._flatten_layers())
    if not low or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)
