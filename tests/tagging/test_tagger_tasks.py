"""The tagger with multi-class models and models of values, whose outputs are known."""

import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, regression
from mmat.media.read import Media
from mmat.media.windows import Window
from mmat.models.bundle import load_bundle
from mmat.tagging.merge import WindowMerger
from mmat.tagging.result import AUDIO, VIDEO
from mmat.tagging.tagger import EventRules
from tests.tagging.levels import CLASSES, VALUES, shares, sound

pytest_plugins = ["tests.export.tiny_tasks"]


def times(tagging) -> list[tuple]:
    return [(tagging.text_of(e), e.onset_seconds, e.offset_seconds) for e in tagging.events]


def test_a_bundle_in_a_folder_keeps_its_task(level_bundles, level_taggers):
    for name, labels in {"classes": CLASSES, "values": VALUES}.items():
        assert load_bundle(level_bundles[name]).labels == labels
        assert level_taggers[name].task == labels.task
        assert level_taggers[name].tag(sound((0.0, 1.0))).task == labels.task


def test_the_class_changes_at_its_second_and_the_mean_decides(level_taggers):
    tagging = level_taggers["classes"].tag(sound((0.5, 12.0), (-0.5, 8.0)))
    assert times(tagging) == [("high", 0.0, 12.0), ("low", 12.0, 20.0)]
    assert [e.score for e in tagging.events] == pytest.approx([shares(0.5).max()] * 2, abs=1e-6)
    # Nine windows of 4 s: five before the change, one half and half, three behind it.
    expected = (5.5 * shares(0.5) + 3.5 * shares(-0.5)) / 9
    np.testing.assert_allclose(tagging.clip_scores, expected, atol=1e-6)
    assert tagging.fired.tolist() == [True, False, False]
    assert [(tag.label, tag.fired) for tag in tagging.tags][0] == ("high", True)
    assert tagging.tags[1].label == "low"


def test_a_value_over_time_is_rounded(level_taggers):
    levels = [0, 0.2, 0.3, 0.6, 0.9, -0.4]
    tagging = level_taggers["values"].tag(sound(*[(level, 1.0) for level in levels]))
    assert times(tagging) == [
        ("mood 0", 0.0, 1.0),
        ("mood +1", 1.0, 3.0),
        ("mood +2", 3.0, 4.0),
        ("mood +3", 4.0, 5.0),
        ("mood -1", 5.0, 6.0),
    ]
    means = [0, 0.75, 1.8, 2.7, -1.2]
    assert [e.score for e in tagging.events] == pytest.approx(means, abs=1e-4)  # of 16 bits
    # Windows of 4 s from 0 and 2 s.
    expected = 3 * np.mean([np.mean(levels[:4]), np.mean(levels[2:])])
    (tag,) = tagging.tags
    assert (tag.label, tag.fired) == ("mood", True)
    assert tag.score == pytest.approx(expected, abs=1e-4)
    assert {e.modality for e in tagging.events} == {AUDIO}


def test_a_file_shorter_than_a_clip_is_one_window(level_taggers):
    heard = sound((-0.5, 1.3))
    classes, values = (level_taggers[name].tag(heard) for name in ("classes", "values"))
    assert times(classes) == [("low", 0.0, 1.3)] and times(values) == [("mood -2", 0.0, 1.3)]
    np.testing.assert_allclose(classes.clip_scores, shares(-0.5), atol=1e-6)
    assert values.clip_scores == pytest.approx([-1.5], abs=1e-6)


def test_a_short_change_is_smoothed_away_where_that_is_asked_for(level_taggers):
    heard, rules = sound((0.5, 1.0), (-0.5, 0.2), (0.5, 1.0)), EventRules(0.5)
    for name, whole in {"classes": ("high", 0.0, 2.2), "values": ("mood +2", 0.0, 2.2)}.items():
        assert len(times(level_taggers[name].tag(heard))) == 3
        assert times(level_taggers[name].tag(heard, rules)) == [whole]


def test_hysteresis_needs_thresholds(level_taggers):
    for tagger in level_taggers.values():
        with pytest.raises(InputError, match="leave it out"):
            tagger.tag(sound((0.5, 1.0)), EventRules(hysteresis=0.5))


def merged(task, *windows: tuple) -> WindowMerger:
    """Join windows of (start, seconds, heard, seen), one class; None where a sense is absent."""
    whole = WindowMerger(task, np.float32([0.5]), {})
    for start, seconds, heard, seen in windows:
        media = Media(
            None if heard is None else np.zeros(round(seconds * 16000), np.float32),
            None if seen is None else np.zeros((1, 4, 4, 3), np.uint8),
            seconds,
        )
        scores = {AUDIO: heard or 0.0, VIDEO: seen or 0.0}
        clip = np.float32([np.mean([x for x in (heard, seen) if x is not None])])
        frames = np.ones((round(10 * seconds), 1), np.float32)
        outputs = {"clip": clip, "frame": frames * clip}
        for sense, score in scores.items():
            outputs |= {sense: np.float32([score]), f"{sense}_frame": frames * np.float32(score)}
        whole.add(Window(start, media, np.array([start] if seen is not None else [])), outputs)
    return whole


def test_a_mean_counts_windows_by_their_length_and_senses_where_they_are():
    windows = (0.0, 4.0, 0.75, None), (4.0, 2.0, 0.0, 0.5)
    values = merged(regression(-3, 3), *windows)
    assert values.outputs["clip"] == pytest.approx([(4 * 0.75 + 2 * 0.25) / 6])
    assert values.outputs[AUDIO] == pytest.approx([0.5])
    assert values.outputs[VIDEO] == pytest.approx([0.5])  # not halved by where nothing was seen
    several = merged(MULTI_LABEL, *windows)
    assert several.outputs["clip"] == 0.75 and several.outputs[VIDEO] == 0.5
    assert merged(MULTI_CLASS, *windows).decided().tolist() == [True]


@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, regression(-3, 3)])
def test_a_sense_that_is_absent_decides_nothing_there(task):
    whole = merged(task, (0.0, 4.0, 0.75, None), (4.0, 4.0, None, 0.75))
    alone = whole.decided_alone()
    assert alone[AUDIO][:, 0].tolist() == [True] * 40 + [False] * 40
    assert alone[VIDEO][:, 0].tolist() == [False] * 40 + [True] * 40
    assert whole.has_sound().tolist() == [True] * 40 + [False] * 40
    # Where windows overlap, the one that has the sense decides.
    overlapping = merged(task, (0.0, 2.0, 0.9, 0.9), (1.0, 2.0, None, 0.9), (2.0, 2.0, 0.9, None))
    alone = overlapping.decided_alone()
    assert alone[AUDIO][:, 0].tolist() == [True] * 40
    assert alone[VIDEO][:, 0].tolist() == [True] * 30 + [False] * 10
    assert overlapping.has_sound().all()
    two = merged(task, (0.0, 2.0, 0.9, 0.9), (1.0, 2.0, None, 0.9)).decided_alone()
    assert two[AUDIO][:, 0].tolist() == [True] * 20 + [False] * 10
    (picture,) = whole.pictures(whole.decided(), ["a"], aspect=1.0)
    assert picture.seconds == 4.0 and picture.labels == (("a", 0.75),)


def test_the_sound_times_the_labels_that_it_has_names_for():
    similarities = np.float32([[0.0, 0.0, 1.0], [0.7, 0.0, 0.0]])
    named = WindowMerger(MULTI_LABEL, np.ones(3, np.float32), {"sound_similarities": similarities})
    assert named.timed_by_sound.tolist() == [True, False, True]
    trained = WindowMerger(
        MULTI_LABEL, np.ones(3, np.float32), {"image_similarities": similarities}
    )
    assert trained.timed_by_sound.all()


@pytest.mark.parametrize(("own", "has_sound"), [("image_probabilities", False), ("clip", True)])
def test_a_model_that_only_looks_hears_no_sound(own, has_sound):
    whole = WindowMerger(MULTI_LABEL, np.float32([0.5]), {})
    media = Media(np.zeros(16000, np.float32), np.zeros((1, 4, 4, 3), np.uint8), 1.0)
    outputs = {"clip": np.float32([0.9]), "frame": np.full((10, 1), 0.9, np.float32)}
    whole.add(Window(0.0, media, np.zeros(1)), outputs | {own: np.float32([0.9])})
    assert (whole.has_sound() == has_sound).all()
