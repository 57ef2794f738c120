import io

import numpy as np
import pytest
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, LabelSet, regression
from mmat.models.features import log_mel
from mmat.plots.tagging import plot_tagging
from mmat.training.tensorboard.callback import tensorboard_callbacks
from mmat.training.tensorboard.clips import FixedClips
from tests.training.tensorboard.board_runs import (
    LABELS,
    clips,
    decode_wav,
    fit,
    fixed_clips,
    plugin_of,
    read,
    series,
    small_model,
)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    shown = tensorboard_callbacks(folder, LABELS, clips=fixed_clips(2), drawn_every=3)
    fit(small_model(), shown, epochs=5)
    return read(folder)


def test_the_sound_of_a_clip_is_its_waveform(events):
    waveforms, _ = clips()
    for i, waveform in enumerate(waveforms[:2]):
        tag = f"sound/clip {i}"
        assert plugin_of(events, tag) == "audio"
        ((encoded, _),) = series(events, tag)[0]
        samples, rate_hz = decode_wav(encoded)
        assert rate_hz == 16_000
        assert np.abs(samples / 32768 - waveform[:, 0]).max() <= 1 / 32767


def test_pictures_come_in_the_first_epoch_every_third_and_the_last(events):
    for i in range(2):
        assert plugin_of(events, f"clips/clip {i}") == "images"
        assert list(series(events, f"clips/clip {i}")) == [3, 12, 15]


def test_a_picture_shows_the_scores_of_its_time(events):
    first, *_, last = (
        tf.io.decode_png(picture[2]).numpy() for picture in series(events, "clips/clip 0").values()
    )
    assert first.shape == last.shape and first.shape[2] == 3
    assert first.shape[1] > first.shape[0] > 200
    assert not np.array_equal(first, last)


@pytest.mark.parametrize(
    ("task", "title"),
    [(MULTI_CLASS, "clip 0: Train horn"), (regression(-1, 1), "clip 0: Dog 0, Fire 0, Train 1")],
)
def test_a_picture_follows_the_task(task, title, tmp_path):
    names = LABELS.names if task.is_multi_class else ("Dog", "Fire", "Train")
    waveforms, _ = clips()
    shown = FixedClips(["clip 0"], waveforms[:1], None, np.float32([[0, 0, 1]]))
    model = small_model()
    fit(
        model,
        tensorboard_callbacks(tmp_path, LabelSet(names, task=task), {}, clips=shown),
        epochs=1,
    )
    events, expected = read(tmp_path), io.BytesIO()
    frames, clip = (model({"waveform": waveforms[:1]})[name][0] for name in ("frame", "clip"))
    mel = np.asarray(log_mel(waveforms[:1]))[0, ..., 0]
    plot_tagging(expected, mel, frames, names, [0.5] * 3, clip_scores=clip, title=title, task=task)
    ((_, _, png),) = series(events, "clips/clip 0").values()
    found, expected = (tf.io.decode_png(x, 3).numpy() for x in (png, expected.getvalue()))
    assert np.array_equal(found, expected)


def test_a_batch_of_other_inputs_and_clips_of_a_split():
    waveforms, weak_labels = clips()
    ids, events = [str(i) for i in range(12)], [[(i % 3, 0.0, 1.0)] for i in range(12)]
    arrays = {"ids": ids, "waveform": waveforms, "weak_labels": weak_labels, "events": events}
    chosen = FixedClips.of(arrays, [7, 2], inputs=np.zeros((2, 40, 64, 1)))
    assert chosen.ids == ["7", "2"]
    assert np.array_equal(chosen.waveforms, waveforms[[7, 2]])
    assert chosen.events == [[(1, 0.0, 1.0)], [(2, 0.0, 1.0)]]
    assert chosen.model_inputs.shape == (2, 40, 64, 1)


def test_numbers_of_clips_must_agree():
    waveforms, _ = clips()
    with pytest.raises(InputError, match="2 ids, but 3 of waveform"):
        FixedClips(["a", "b"], waveforms[:3])
