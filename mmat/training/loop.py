"""The training loop: one for one device, several, and several machines.

It is a plain loop, not `fit`, for what `fit` does not do: it goes on bit for bit where it was
killed, stops at the first loss that is no number and names the clips, and runs on several machines.
"""

import dataclasses
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
import tqdm

from mmat.cli.common import on_terminal
from mmat.errors import InputError
from mmat.training.checkpoints import Checkpoints, Progress, settings_of
from mmat.training.cost import measure_cost
from mmat.training.finite import all_finite, told_of
from mmat.training.recipe import History, Recipe
from mmat.training.step import training_step
from mmat.training.stopping import Stopped, StopRequest

BatchesFrom = Callable[[int], tf.data.Dataset]
Validate = Callable[[keras.Model], dict[str, float]]


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
    about: Mapping[str, object] = {},
    say: Callable[[str], None] = print,
) -> History:
    """Train a model by a recipe, from the last checkpoint in `folder` if there is one.

    batches_from: for a step, the dataset without end of (inputs, weak labels) that begins with
    that step's batch. A batch hangs on its number alone, as those of `mmat.data.sampling` do. Clip
    ids among the inputs (`ids`) are kept from the model and named in errors. validate: the figures
    of the model as it is, at every checkpoint. The model is left as the last step made it;
    `load_best` gives the best.

    monitor: the figure by which the best checkpoint is chosen. optimizer: Adam at the recipe's
    rate. callbacks: a checkpoint is an epoch to them, and steps count through the whole training.
    strategy: model and optimizer are made in its scope. about: what else tells this training from
    another, such as the labels. say: told of a line at a time.

    Killed and called again with the same arguments it ends with the same weights, bit for bit, if
    TensorFlow computes the same twice (`tf.config.experimental.enable_op_determinism`, as many
    threads). Raises InputError for a folder of another training, and for a loss or weights that
    are no numbers; Stopped (a KeyboardInterrupt), everything saved, after SIGINT or SIGTERM.
    """
    optimizer = _scaled_if_needed(model, optimizer or keras.optimizers.Adam(recipe.learning_rate))
    step = training_step(model, optimizer, strategy)
    kept = ("batch_size", "learning_rate", "steps_per_checkpoint", "patience", "seed")
    settings = settings_of(
        model, optimizer, monitor=monitor, **{x: getattr(recipe, x) for x in kept}, **about
    )
    store = Checkpoints(folder, settings, recipe.keep, say)
    progress = store.load(model, optimizer)
    if progress is None:
        progress = Progress(History(monitor))
        store.save(progress, model, optimizer)
    if len(progress.history.checkpoints) >= recipe.checkpoints:
        say(f"{folder}: trained already, best at step {progress.history.best['step']}")
        return progress.history
    if progress.step:
        say(f"{folder}: goes on from step {progress.step} of {recipe.steps}")
    run = _Run(model, optimizer, step, batches_from, recipe, store, validate, progress, say)
    say(str(measure_cost(model, optimizer, step, run.batches(), recipe, progress.step)))
    run.all(callbacks)
    return progress.history


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
    progress: Progress
    say: Callable[[str], None]

    def all(self, callbacks) -> None:
        recipe, history = self.recipe, self.progress.history
        told = keras.callbacks.CallbackList(
            list(callbacks),
            model=self.model,
            epochs=recipe.checkpoints,
            steps=recipe.steps_per_checkpoint,
        )
        self.model.stop_training = False
        batches = self.batches()
        told.on_train_begin()
        try:
            with StopRequest() as request:
                while (
                    len(history.checkpoints) < recipe.checkpoints and not self.model.stop_training
                ):
                    epoch = len(history.checkpoints)
                    told.on_epoch_begin(epoch)
                    self.steps(batches, told, request)
                    told.on_epoch_end(epoch, self.checkpoint())
                    self.stop_if_asked(request)
                    if self.model.stop_training:
                        break
        finally:
            told.on_train_end()

    def batches(self) -> Iterator[tuple[dict, tf.Tensor]]:
        """Yield batches from the step that is next, without the clips' ids."""
        for inputs, weak_labels in self.batches_from(self.progress.step):
            yield {name: x for name, x in inputs.items() if name != "ids"}, weak_labels

    def steps(self, batches, told, request) -> None:
        """Take the steps up to the next checkpoint."""
        progress, n_steps = self.progress, self.recipe.steps_per_checkpoint
        end = (len(progress.history.checkpoints) + 1) * n_steps
        bar = tqdm.tqdm(total=n_steps, initial=n_steps - (end - progress.step), unit=" steps",
                        leave=False, disable=not on_terminal())  # fmt: skip
        with bar:
            while progress.step < end:
                told.on_train_batch_begin(progress.step)
                if (batch := next(batches, None)) is None:
                    raise InputError(f"step {progress.step}: the batches ended; they must go on")
                loss = float(self.step(*batch))
                self.check(loss)
                progress.losses.append(loss)
                logs = {"loss": loss, "learning_rate": float(self.optimizer.learning_rate)}
                told.on_train_batch_end(progress.step, logs)
                progress.step += 1
                bar.update()
                self.stop_if_asked(request)

    def check(self, loss: float) -> None:
        """Raise InputError if the loss or the weights that it gave are no numbers."""
        if not math.isfinite(loss):
            what = f"the loss is {loss}"
        elif not all_finite(self.model.weights):
            what = f"the loss is {loss:.4g} and the weights that came of it are no numbers"
        else:
            return
        batch = next(iter(self.batches_from(self.progress.step)))
        raise InputError(f"step {self.progress.step}: {what}; {told_of(batch)}")

    def checkpoint(self) -> dict[str, float]:
        """Validate, halve the rate if it is time, save; return the figures."""
        progress, history = self.progress, self.progress.history
        figures = {
            "loss": float(np.mean(progress.losses)),
            "learning_rate": float(self.optimizer.learning_rate),
            **{name: float(x) for name, x in self.validate(self.model).items()},
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
        self.store.save(progress, self.model, self.optimizer)
        told = ", ".join(f"{name} {x:.4g}" for name, x in figures.items())
        of = f"{len(history.checkpoints)} of {self.recipe.checkpoints}"
        self.say(f"checkpoint {of}, step {progress.step}: {told}")
        return figures

    def stop_if_asked(self, request: StopRequest) -> None:
        """Save and raise Stopped if a signal came."""
        number = request.signal_number
        if number is None:
            return
        self.store.save(self.progress, self.model, self.optimizer)
        raise Stopped(
            f"stopped by {signal.Signals(number).name} and saved at step {self.progress.step} of "
            f"{self.recipe.steps}; the same command goes on from there",
            128 + number,
        )


def _has_schedule(optimizer) -> bool:
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return isinstance(inner.get_config().get("learning_rate"), dict)


def _scaled_if_needed(model: keras.Model, optimizer):
    """Return an optimizer that scales the loss, where a layer computes in float16."""
    low = any(layer.compute_dtype == "float16" for layer in model._flatten_layers())
    if not low or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)
