import numpy as np
import pytest
import tensorflow as tf

from mmat.labels import MULTI_CLASS, MULTI_LABEL, regression
from mmat.training.loop import train
from mmat.training.recipe import Recipe
from mmat.training.tensorboard.callback import SUFFIX, tensorboard_callbacks
from mmat.training.tensorboard.sections import compared, flat, table
from tests.training.tensorboard.board_runs import (
    BATCH,
    LABELS,
    STEPS,
    clips,
    fit,
    fixed_clips,
    plugin_of,
    read,
    series,
    small_model,
)


def validation(model):
    waveforms, weak_labels = clips(seed=1)
    return lambda: (weak_labels, np.asarray(model({"waveform": waveforms})["clip"]))


def test_steps_epochs_and_the_learning_rate_are_curves(tmp_path):
    model = small_model()
    history = fit(model, tensorboard_callbacks(tmp_path, LABELS)).history
    events = read(tmp_path)
    assert list(series(events, "step/loss")) == [1, 2, 3, 4, 5, 6]
    rates = series(events, "step/learning_rate")
    assert list(rates) == [1, 2, 3, 4, 5, 6]
    assert np.allclose(list(rates.values()), 0.01)
    losses = series(events, "checkpoint/loss")
    assert list(losses) == [STEPS, 2 * STEPS]
    assert np.allclose(list(losses.values()), history["loss"])
    assert plugin_of(events, "step/loss") == "scalars"


def test_validation_figures_stand_in_the_history_and_in_the_log(tmp_path):
    model = small_model()
    history = fit(model, tensorboard_callbacks(tmp_path, LABELS, None, validation(model))).history
    events = read(tmp_path)
    for name in ("val_f1", "val_map", "val_threshold"):
        assert np.allclose(list(series(events, f"checkpoint/{name}").values()), history[name])


def test_the_graph_is_that_of_the_model(tmp_path):
    fit(small_model(), tensorboard_callbacks(tmp_path, LABELS), epochs=1)
    names = {node.name.split("/")[0] for node in read(tmp_path).Graph().node}
    graph = tf.compat.v1.GraphDef.FromString(read(tmp_path).Graph().SerializeToString())
    assert {"Conv1D", "Conv2D"} & {node.op for node in graph.node}
    assert any("steps" in node.name for node in graph.node), names


def test_the_configuration_is_text_and_hyper_parameters(tmp_path):
    from tensorboard.plugins.hparams import metadata

    configuration = {"recipe": {"batch_size": 4, "rate": 0.01}, "pooling": max, "xla": False}
    fit(small_model(), tensorboard_callbacks(tmp_path, LABELS, configuration), epochs=1)
    events = read(tmp_path)
    (text,) = series(events, "configuration").values()
    assert text.item().decode() == table(flat(configuration))
    assert "| recipe.batch_size | 4 |" in text.item().decode()
    content = {
        tag: events.SummaryMetadata(f"_hparams_/{tag}").plugin_data.content
        for tag in ("session_start_info", "experiment", "session_end_info")
    }
    start = metadata.parse_session_start_info_plugin_data(content["session_start_info"])
    assert start.hparams["recipe.batch_size"].number_value == 4
    assert start.hparams["pooling"].string_value == "max"
    assert start.hparams["xla"].bool_value is False
    experiment = metadata.parse_experiment_plugin_data(content["experiment"])
    assert {info.name for info in experiment.hparam_infos} == set(flat(configuration))
    assert "checkpoint/val_f1" in {info.name.tag for info in experiment.metric_infos}


def test_trainings_are_compared_by_the_figures_of_their_task():
    assert compared(MULTI_LABEL) == ("val_f1", "val_map", "val_loss", "loss")
    assert compared(MULTI_CLASS)[0] == "val_uar"
    assert {"val_mae", "val_pearson", "val_loss"} < set(compared(regression(-3, 3)))


def test_the_board_leaves_the_training_as_it_is(tmp_path):
    plain = small_model(dropout=0.5)
    fit(plain, [])
    shown = small_model(dropout=0.5)
    everything = tensorboard_callbacks(
        tmp_path, LABELS, {}, validation(shown), fixed_clips(), drawn_every=1
    )
    fit(shown, everything)
    for a, b in zip(plain.get_weights(), shown.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_killed_training_goes_on_without_doubled_curves(tmp_path):
    model, options = small_model(), {"drawn_every": 1}
    killed = tensorboard_callbacks(tmp_path, LABELS, {"seed": 0}, validation(model), **options)
    fit(model, killed, epochs=3)
    (file,) = tmp_path.glob(f"*{SUFFIX}")
    before = series(read(tmp_path), "step/loss")
    file.write_bytes(file.read_bytes() + b"half a record")
    other = small_model()  # its losses differ from those of the third epoch
    again = tensorboard_callbacks(tmp_path, LABELS, {"seed": 0}, validation(other), **options)
    fit(other, again, epochs=4, initial_epoch=2)
    events = read(tmp_path)
    losses = series(events, "step/loss")
    assert sorted(losses) == list(range(1, 4 * STEPS + 1))
    kept, anew = range(1, 2 * STEPS + 1), range(2 * STEPS + 1, 3 * STEPS + 1)
    assert all(losses[step] == before[step] for step in kept)
    assert any(losses[step] != before[step] for step in anew)
    for tag in events.Tags()["tensors"]:  # pictures, curves and the configuration too
        series(events, tag)


def test_a_training_from_the_start_begins_its_log_anew_and_leaves_other_files(tmp_path):
    (tmp_path / "events.out.tfevents.1.other.v2").write_bytes(b"")
    for epochs in (2, 1):
        fit(small_model(), tensorboard_callbacks(tmp_path, LABELS), epochs=epochs)
    assert list(series(read(tmp_path), "step/loss")) == [1, 2, 3]
    assert (tmp_path / "events.out.tfevents.1.other.v2").exists()


def test_a_given_first_step_goes_on_from_there(tmp_path):
    fit(small_model(), tensorboard_callbacks(tmp_path, LABELS), epochs=2)
    fit(small_model(), tensorboard_callbacks(tmp_path, LABELS, first_step=4), epochs=1)
    assert sorted(series(read(tmp_path), "step/loss")) == [1, 2, 3, 4, 5, 6, 7]


class Break(Exception):
    pass


def test_under_the_loop_a_checkpoint_is_an_epoch_and_steps_go_on(tmp_path):
    waveforms, weak_labels = clips()
    batches = tf.data.Dataset.from_tensor_slices(({"waveform": waveforms}, weak_labels))
    batches = batches.repeat().batch(BATCH)

    def validate(model):
        return {"val_loss": float(np.mean(model({"waveform": waveforms})["clip"])), "val_f1": 0.25}

    def run(checkpoints, batches_from=batches.skip):
        model = small_model()
        shown = tensorboard_callbacks(
            tmp_path / "log", LABELS, None, validation(model), fixed_clips(1)
        )
        recipe = Recipe(BATCH, 0.01, steps_per_checkpoint=STEPS, checkpoints=checkpoints)
        return train(model, batches_from, recipe, tmp_path / "run", validate, callbacks=shown)

    def breaking(step):
        for number, batch in enumerate(batches.skip(step).take(8)):
            if step + number == 2 * STEPS + 1:
                raise Break
            yield batch

    with pytest.raises(Break):
        run(4, breaking)
    history = run(4)
    events = read(tmp_path / "log")
    assert sorted(series(events, "step/loss")) == list(range(1, 4 * STEPS + 1))
    for name in ("loss", "val_loss", "val_f1", "learning_rate"):
        written = series(events, f"checkpoint/{name}")
        expected = {each["step"]: each[name] for each in history.checkpoints}
        assert written.keys() == expected.keys() == {3, 6, 9, 12}
        assert np.allclose(list(written.values()), list(expected.values()))
    assert np.all(np.array(list(series(events, "checkpoint/val_f1").values())) == 0.25)
