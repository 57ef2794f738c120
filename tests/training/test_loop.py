"""The loop: killed and called again it ends the same; NaN, infinity and signals end it well."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.files import InputError
from mmat.training.checkpoints import FOLDER, load_best
from mmat.training.loop import Stopped, train
from mmat.training.recipe import Recipe
from tests.processes import program, run_process
from tests.shards.tiny_shards import write_shards


def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path):
    (tmp_path / "shards").mkdir()
    shards = write_shards(tmp_path / "shards")
    done = run_process(program("killed_training", shards, tmp_path, flags=("-W", "ignore")))
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(how, status) for how, status, _ in runs] == [
        ("", 0), ("SIGTERM", 143), ("SIGKILL", -9), ("in a write", -25), ("SIGKILL", -9), ("", 0)
    ]  # fmt: skip
    whole, *logged = [lines for _, _, lines in runs]
    folder = tmp_path / "killed"
    assert logged[0] == [
        "stopped by SIGTERM and saved at step 3 of 20; the same command goes on from there"
    ]
    goes_on = [f"{folder}: goes on from step {step} of 20" for step in (3, 5, 5, 5)]
    assert logged[1:4] == [[goes_on[0], whole[0]], [goes_on[1]], [goes_on[2], whole[1]]]
    assert logged[4][0] == (
        f"{folder / FOLDER}/step-00000010.npz: damaged (its checksum is another); passed over"
    )
    assert logged[4][1:] == [goes_on[3], *whole[1:]]
    # Weights, seeds, the optimizer's variables and all figures: every byte of the last checkpoint.
    files = {
        name: {path.name: path.read_bytes() for path in (tmp_path / name / FOLDER).iterdir()}
        for name in ("whole", "killed")
    }
    assert files["killed"] == files["whole"]
    assert "step-00000020.npz" in files["whole"]


CLIPS = 4


def tagger(rate_of_dropout=0.3):
    keras.utils.set_random_seed(0)
    level = keras.Input((5,), name="level")
    x = keras.layers.Dropout(rate_of_dropout)(level)
    return keras.Model({"level": level}, {"clip": keras.layers.Dense(3, "sigmoid")(x)})


def batches_from(start, change=None, count=-1):
    """Batches that depend on their number alone; `change` puts other levels into one."""

    def batch(number):
        seed = tf.stack([number, tf.constant(0, tf.int64)])
        level = tf.random.stateless_uniform((CLIPS, 5), seed)
        if change:
            step, place, value = change
            bad = tf.one_hot(place, CLIPS, on_value=value, off_value=0.0)[:, None]
            level = tf.where(number == step, level + bad, level)
        numbers = number * CLIPS + tf.range(CLIPS, dtype=tf.int64)
        ids = tf.strings.join(["clip ", tf.strings.as_string(numbers)])
        return {"level": level, "ids": ids}, tf.cast(level[:, :3] > 0.5, tf.float32)

    return tf.data.Dataset.counter(start).take(count).map(batch)


def recipe(**options):
    return Recipe(**dict(batch_size=CLIPS, learning_rate=0.1, steps_per_checkpoint=2) | options)


def given_figures(*losses):
    """A validation that gives these losses, one a call."""
    numbers = iter(losses)
    return lambda model: {"val_loss": next(numbers)}


def run(folder, *losses, model=None, batches=batches_from, log=lambda line: None, **options):
    train_options = {
        name: options.pop(name) for name in ("monitor", "callbacks", "optimizer") if name in options
    }
    return train(
        model or tagger(), batches, recipe(checkpoints=len(losses), **options), folder,
        given_figures(*losses), log=log, **train_options,
    )  # fmt: skip


class StopAfterEpoch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


LOSSES = (1.0, 0.9, 0.9, float("nan"), 0.95, 0.8, 0.85, 0.8, 0.7)


# Two checkpoints that are no better halve the rate, and are then waited for anew.
RATES = (0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025)


def test_the_rate_halves_on_a_plateau(tmp_path):
    history = run(tmp_path, *LOSSES, patience=2)
    rates = [each["learning_rate"] for each in history.checkpoints]
    assert rates == pytest.approx(RATES, rel=1e-6)
    assert history.best == history.checkpoints[-1]
    assert [each["step"] for each in history.checkpoints] == list(range(2, 20, 2))


def test_what_was_waited_outlives_a_resume(tmp_path):
    validate, plateau = given_figures(*LOSSES), recipe(checkpoints=5, patience=2)
    for _ in range(5):
        history = train(
            tagger(), batches_from, plateau, tmp_path, validate,
            callbacks=[StopAfterEpoch()], log=lambda line: None,
        )  # fmt: skip
    rates = [each["learning_rate"] for each in history.checkpoints]
    assert rates == pytest.approx(RATES[:5], rel=1e-6)


def test_a_schedule_of_the_rate_is_left_alone(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer = keras.optimizers.SGD(schedule)
    history = run(tmp_path, 1.0, 1.0, 1.0, patience=1, optimizer=optimizer)
    rates = [each["learning_rate"] for each in history.checkpoints]
    assert rates == pytest.approx([0.1 / 4, 0.1 / 16, 0.1 / 64])


def test_the_best_checkpoint_has_the_weights_that_were_validated(tmp_path):
    seen, model = [], tagger()
    figures = [{"val_f1": f1, "val_loss": 1.0} for f1 in (0.2, 0.6, 0.6, 0.1)]

    def validate(model):
        seen.append(model.get_weights())
        return figures[len(seen) - 1]

    history = train(
        model, batches_from, recipe(checkpoints=4, keep=1), tmp_path, validate, monitor="val_f1",
        log=lambda line: None,
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert names == ["step-00000004.npz", "step-00000008.npz"]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), seen[3], strict=True))
    best = load_best(model, tmp_path)
    assert best == history.best and (best["step"], best["val_f1"]) == (4, 0.6)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), seen[1], strict=True))


def test_a_training_that_is_done_is_left_alone_and_may_be_made_longer(tmp_path):
    first = run(tmp_path, 1.0, 0.5)
    logged = []
    again = run(tmp_path, 1.0, 0.5, log=logged.append)
    assert again == first
    assert logged == [f"{tmp_path}: trained already, best at step 4"]
    validate = given_figures(0.25)
    longer = train(
        tagger(), batches_from, recipe(checkpoints=3), tmp_path, validate, log=logged.append
    )
    assert longer.checkpoints[:2] == first.checkpoints and longer.best["step"] == 6
    assert logged[1] == f"{tmp_path}: goes on from step 4 of 6"
    cost, checkpoint = logged[2:]
    assert cost.startswith("cost: 8 clips in 2 steps of 4, ")
    assert checkpoint.startswith("checkpoint 3 of 3, step 6: loss 0.")


def test_callbacks_count_through_the_whole_training(tmp_path):
    class Records(keras.callbacks.Callback):
        def __init__(self):
            self.calls = []

        def on_train_begin(self, logs=None):
            self.calls.append("begin")

        def on_epoch_end(self, epoch, logs=None):
            self.calls.append((epoch, logs["val_loss"]))

        def on_train_batch_end(self, step, logs=None):
            self.calls.append((step, sorted(logs)))

        def on_train_end(self, logs=None):
            self.calls.append("end")

    of_a_step = ["learning_rate", "loss"]
    records = Records()
    run(tmp_path, 1.0, 0.5, callbacks=[records, StopAfterEpoch()])
    assert records.calls == ["begin", (0, of_a_step), (1, of_a_step), (0, 1.0), "end"]
    records = Records()
    train(tagger(), batches_from, recipe(checkpoints=2), tmp_path, given_figures(0.5),
          callbacks=[records], log=lambda line: None)  # fmt: skip
    assert records.calls == ["begin", (2, of_a_step), (3, of_a_step), (1, 0.5), "end"]


def test_another_recipe_in_the_folder_is_named(tmp_path):
    run(tmp_path, 1.0)
    with pytest.raises(InputError, match=r"holds another training \(patience was 3, now 1\); name"):
        run(tmp_path, 1.0, patience=1)
    with pytest.raises(InputError, match=r"holds another training \(another model\); name"):
        run(tmp_path, 1.0, model=tagger(0.5))


def saved(folder):
    return {path.name: path.read_bytes() for path in (folder / FOLDER).iterdir()}


def test_a_clip_that_is_not_finite_is_named_and_nothing_is_saved_of_it(tmp_path):
    run(tmp_path, 1.0)
    before, ends = saved(tmp_path), []

    class End(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            ends.append("end")

    for value in (float("nan"), float("inf")):
        bad = (3, 2, value)  # the third clip of step 3: clip 14
        batches = functools.partial(batches_from, change=bad)
        with pytest.raises(InputError) as error:
            run(tmp_path, 1.0, 1.0, batches=batches, callbacks=[End()])
        assert str(error.value) == (
            "step 3: the loss is nan; clips clip 14 hold NaN or infinity: leave them out or "
            "prepare them again; the batch: clip 12, clip 13, clip 14, clip 15"
        )
        assert saved(tmp_path) == before
    assert ends == ["end", "end"]


def test_a_loss_that_runs_away_says_so(tmp_path):
    optimizer = keras.optimizers.SGD(1e39)  # infinite in float32
    with pytest.raises(InputError) as error:
        run(tmp_path, 1.0, optimizer=optimizer)
    assert str(error.value).startswith("step 0: the loss is 0.")
    assert str(error.value).endswith(
        " and the weights that came of it hold NaN or infinity; all inputs were finite: train anew "
        "with a lower learning rate; the batch: clip 0, clip 1, clip 2, clip 3"
    )
    assert list(saved(tmp_path)) == ["step-00000000.npz"]


def test_batches_that_end_are_one_line(tmp_path):
    with pytest.raises(InputError, match="^step 15: the batches ended; they must go on$"):
        run(tmp_path, *[1.0] * 10, batches=functools.partial(batches_from, count=15))
    assert "step-00000014.npz" in saved(tmp_path)


def test_a_figure_that_validation_does_not_give_is_named(tmp_path):
    with pytest.raises(InputError) as error:
        run(tmp_path, 1.0, monitor="val_f1")
    assert str(error.value) == (
        "validation gives no val_f1; it gives loss, learning_rate, val_loss"
    )
    assert list(saved(tmp_path)) == ["step-00000000.npz"]


def test_stopped_is_no_error_that_except_exception_would_hide():
    stopped = Stopped("stopped by SIGTERM", 143)
    assert isinstance(stopped, KeyboardInterrupt) and not isinstance(stopped, Exception)
    assert (str(stopped), stopped.exit_status) == ("stopped by SIGTERM", 143)
