"""Checkpoints: written whole or not at all, damage passed over, another training refused."""

import math
import resource

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from hypothesis import given, settings

from mmat.files import InputError
from mmat.models.audio import audio_branch
from mmat.models.fusion import EitherRight, fused_model, late_fusion, middle_fusion
from mmat.models.rivals import Competing
from mmat.models.sound_timing import LogitsTimedBySound, TimedBySound
from mmat.models.video import video_branch
from mmat.training.checkpoints import FOLDER, Checkpoints, Progress, forget, load_best, settings_of
from mmat.training.recipe import History

few = settings(max_examples=15, deadline=None)


def made(dropout=0.5, units=3, dtype="float32", seed=0, rate=0.01):
    """A model whose every kind of variable is there, seeds too, and its optimizer."""
    keras.utils.set_random_seed(seed)
    level = keras.Input((2,), name="level")
    x = keras.layers.BatchNormalization()(level)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(units, "sigmoid", dtype=dtype)(x)
    model = keras.Model({"level": level}, {"clip": x})
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def values(*things):
    return [np.asarray(variable).copy() for thing in things for variable in thing.variables]


def differ(model, optimizer, number):
    """Give every variable a value that depends on a number."""
    for i, variable in enumerate([*model.variables, *optimizer.variables]):
        variable.assign(np.full(variable.shape, 10 * number + i))


def equal(some, others):
    return all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


def store_of(folder, model, optimizer, keep=3, log=print, **about):
    return Checkpoints(folder, settings_of(model, optimizer, **about), keep, log)


def names(folder):
    return sorted(path.name for path in (folder / FOLDER).iterdir())


def saved_steps(folder):
    return [int(name[5:13]) for name in names(folder)]


def save_some(folder, steps, **options):
    """Save at these steps, the figure of each a tenth of it; returns model, optimizer, store."""
    model, optimizer = made()
    store = store_of(folder, model, optimizer, **options)
    history = History("val_f1")
    for step in steps:
        history.checkpoints.append({"step": step, "loss": 1.0, "val_f1": step / 10})
        differ(model, optimizer, step)
        store.save(Progress(history, step), model, optimizer)
    return model, optimizer, store


def damage(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def test_all_that_a_training_is_comes_back(tmp_path):
    model, optimizer = made()
    store = store_of(tmp_path, model, optimizer, labels=["a"])
    differ(model, optimizer, 5)
    history = History("val_loss", [{"step": 3, "loss": 0.5, "val_loss": math.inf}])
    progress = Progress(history, 5, [0.1, 1 / 3], waited=2)
    store.save(progress, model, optimizer)
    other, other_optimizer = made(seed=1)
    assert any(variable.name == "seed_generator_state" for variable in other.variables)
    found = store_of(tmp_path, other, other_optimizer, labels=["a"]).load(other, other_optimizer)
    assert found == progress
    assert equal(values(other, other_optimizer), values(model, optimizer))
    assert float(other_optimizer.learning_rate) == float(optimizer.learning_rate) != 0.01


def test_an_empty_folder_holds_none(tmp_path):
    model, optimizer = made()
    before = values(model, optimizer)
    assert store_of(tmp_path / "new", model, optimizer).load(model, optimizer) is None
    assert equal(values(model, optimizer), before)


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    saved = save_some(folder, [1, 2])
    newest = folder / FOLDER / "step-00000002.npz"
    return *saved, newest, newest.read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_is_told_and_the_one_before_is_used(two_steps, data):
    model, optimizer, store, newest, whole = two_steps
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        damaged = whole[:place]
    else:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    newest.write_bytes(damaged)
    logged = []
    store.log = logged.append
    differ(model, optimizer, 9)
    assert store.load(model, optimizer).step == 1
    assert logged == [f"{newest}: damaged (its checksum is another); passed over"]
    found = values(model, optimizer)
    differ(model, optimizer, 1)
    assert equal(found, values(model, optimizer))


def test_a_damaged_later_step_never_ousts_what_is_saved_now(tmp_path):
    save_some(tmp_path, [1, 2, 3], keep=2)
    damage(tmp_path / FOLDER / "step-00000003.npz")
    model, optimizer = made()
    store = store_of(tmp_path, model, optimizer, keep=1, log=lambda line: None)
    progress = store.load(model, optimizer)
    assert progress.step == 2
    store.save(progress, model, optimizer)
    assert saved_steps(tmp_path) == [2]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return *made(), tmp_path_factory.mktemp("kept")


figures = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.25, 0.5])


@few
@given(st.lists(figures, min_size=1, max_size=6), st.integers(1, 3), st.booleans())
def test_the_last_and_the_best_stay_and_the_best_comes_back(built, scores, keep, loss):
    model, optimizer, folder = built
    forget(folder)
    monitor = "val_loss" if loss else "val_f1"
    store = store_of(folder, model, optimizer, keep)
    history = History(monitor)
    for step, figure in enumerate(scores, 1):
        history.checkpoints.append({"step": step, monitor: figure})
        differ(model, optimizer, step)
        store.save(Progress(history, step), model, optimizer)
    steps, lasting = saved_steps(folder), range(1, len(scores) + 1)[-keep:]
    assert set(lasting) <= set(steps)
    # A best for each that is kept, in case that the later ones turn out damaged.
    numbers = [-math.inf if math.isnan(x) else -x if loss else x for x in scores]
    real = [i for i, x in enumerate(scores) if not math.isnan(x)]
    wanted = set(lasting)
    for last in lasting:
        if then := [i for i in real if i < last]:
            wanted.add(1 + max(then, key=lambda i: numbers[i]))
    assert set(steps) == wanted
    if not real:
        with pytest.raises(InputError, match="no validated checkpoint that can be read"):
            load_best(model, folder)
        return
    best = 1 + max(real, key=lambda i: numbers[i])
    differ(model, optimizer, 99)
    assert load_best(model, folder)["step"] == best
    found = values(model)
    differ(model, optimizer, best)
    assert equal(found, values(model))


def test_a_damaged_best_is_told_and_the_best_before_is_taken(tmp_path):
    model, optimizer, _ = save_some(tmp_path, [1, 2, 3])
    best = tmp_path / FOLDER / "step-00000003.npz"
    damage(best)
    logged = []
    assert load_best(model, tmp_path, logged.append) == {"step": 2, "loss": 1.0, "val_f1": 0.2}
    assert logged == [f"{best}: damaged (its checksum is another); passed over"]
    found = values(model)
    differ(model, optimizer, 2)
    assert equal(found, values(model))


def test_the_best_of_nothing_is_one_line(tmp_path):
    with pytest.raises(InputError) as error:
        load_best(made()[0], tmp_path / "none")
    assert str(error.value) == (
        f"{tmp_path / 'none'}: holds no validated checkpoint that can be read; train first"
    )


def test_the_best_of_another_model_is_refused(tmp_path):
    save_some(tmp_path, [1])
    with pytest.raises(InputError, match="step-00000001.npz: of another model; train anew"):
        load_best(made(units=4)[0], tmp_path)


def test_a_training_forgotten_begins_anew(tmp_path):
    model, optimizer, store = save_some(tmp_path, [1])
    (tmp_path / "report.json").write_text("{}")
    forget(tmp_path)
    forget(tmp_path)
    assert store.load(model, optimizer) is None
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


# --- another training


@pytest.mark.parametrize(
    ("other", "about", "logged"),
    [
        ({"units": 4}, {}, "another model"),
        ({"dropout": 0.25}, {}, "another model"),
        ({"dtype": "mixed_bfloat16"}, {}, "another model"),
        ({"rate": 0.02}, {}, "another optimizer"),
        ({}, {"labels": ["a", "c"]}, "another labels"),
        ({}, {"batch_size": 8}, "batch_size was 4, now 8"),
        ({}, {"pooling": "mean"}, "pooling was None, now mean"),
        ({}, {"batch_size": 8, "seed": 1}, "batch_size was 4, now 8; seed was 0, now 1"),
    ],
)
def test_another_training_is_named(tmp_path, other, about, logged):
    first = {"labels": ["a", "b"], "batch_size": 4, "seed": 0}
    model, optimizer = made()
    store_of(tmp_path, model, optimizer, **first).save(
        Progress(History("val_f1")), model, optimizer
    )
    model, optimizer = made(**other)
    before = values(model, optimizer)
    with pytest.raises(InputError) as error:
        store_of(tmp_path, model, optimizer, **first | about).load(model, optimizer)
    assert str(error.value) == (
        f"{tmp_path}: holds another training ({logged}); name another folder, or train anew with "
        "--again"
    )
    assert equal(values(model, optimizer), before)


def test_names_that_keras_counts_up_tell_no_trainings_apart():
    first, second = made(), made()
    assert first[0].layers[1].name != second[0].layers[1].name
    assert settings_of(*first) == settings_of(*second)


@pytest.mark.parametrize(
    ("build", "digest"),
    [
        (lambda: audio_branch(3, ragged=True), "4f3718cfe7db4dcafee8"),
        (lambda: video_branch(3, similarities=np.eye(5, 3)), "0849d6f17f19b161"),
        (
            lambda: fused_model(
                audio_branch(3, ragged=True),
                video_branch(3, similarities=np.eye(5, 3)),
                label_rates=np.ones(3) / 3,
            ),
            "00b0877c47d7c614",
        ),
    ],
    ids=["audio", "video", "fused"],
)
def test_a_training_of_before_its_layers_had_other_names_is_the_same_training(build, digest):
    """The digest is that of commit b00d41f, where classes had other names and other modules."""
    assert settings_of(build(), keras.optimizers.Adam())["model"].startswith(digest)


@pytest.mark.parametrize(
    ("fusion", "ragged", "digest"),
    [
        (middle_fusion, True, "de2fa0be503aa6c7"),
        (late_fusion, False, "62fef0cfec86c6b1"),
        (middle_fusion, False, "8c45f195bd3b3f8e"),
    ],
)
def test_a_fusion_of_before_the_sound_timed_its_frames_is_the_same_training(fusion, ragged, digest):
    """The digest is that of commit d121c66; frames take no part in what is learnt."""
    dtype = "float32" if ragged else "mixed_bfloat16"
    branches = (
        audio_branch(3, ragged=ragged, dtype=dtype),
        video_branch(3, similarities=np.eye(5, 3)),
    )
    fused = fused_model(*branches, fusion, np.ones(3) / 3)
    assert settings_of(fused, keras.optimizers.Adam())["model"].startswith(digest)


def test_a_model_within_a_model_is_the_same_training_wherever_its_layers_stand():
    """The digest is that of commit ce5a1ce, where these layers stood in the fusion's module."""
    frames, clip = keras.Input((5, 2)), keras.Input((2,))
    competing = Competing(kin=[(0, 1)])(frames)
    timed = [
        layer([True, False])([competing, clip, clip, frames])
        for layer in (TimedBySound, LogitsTimedBySound)
    ]
    inner = keras.Model([frames, clip], EitherRight()(timed))
    outer = [keras.Input((5, 2)), keras.Input((2,))]
    model = keras.Model(outer, inner(outer))
    assert settings_of(model, keras.optimizers.Adam())["model"].startswith("6b02fed2b492613e")


# --- disks


def test_a_full_disk_is_one_line_and_leaves_what_was(tmp_path):
    model, optimizer, store = save_some(tmp_path, [1, 2])
    before = {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError) as error:
            store.save(Progress(History("val_f1"), 3), model, optimizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value) == (
        f"{tmp_path / FOLDER}: step 3 cannot be saved: File too large; the checkpoints before it "
        "are whole: make room there, or name another folder, and run the same command again"
    )
    assert {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()} == before
    store.save(Progress(History("val_f1"), 3), model, optimizer)
    assert saved_steps(tmp_path) == [1, 2, 3]


def test_a_file_in_the_folders_place_is_one_line(tmp_path):
    (tmp_path / "run").write_text("a report")
    model, optimizer = made()
    store = store_of(tmp_path / "run", model, optimizer)
    assert store.load(model, optimizer) is None
    with pytest.raises(InputError, match="run/checkpoints: step 0 cannot be saved: Not a direc"):
        store.save(Progress(History("val_f1")), model, optimizer)
    assert (tmp_path / "run").read_text() == "a report"


def test_what_a_killed_process_had_begun_is_cleared(tmp_path):
    model, optimizer, store = save_some(tmp_path, [1])
    begun = tmp_path / FOLDER / ".step-00000002.npz.k1ll3d"
    begun.mkdir()
    (begun / "step-00000002.npz").write_bytes(b"half")
    assert store.load(model, optimizer).step == 1
    store.save(Progress(History("val_f1"), 2), model, optimizer)
    assert names(tmp_path) == ["step-00000001.npz", "step-00000002.npz"]
