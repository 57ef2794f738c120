"""Taggings as tables for people and as pictures; other forms stand in test_forms.py."""

import dataclasses
import re

import numpy as np

from mmat.labels import MULTI_LABEL, regression
from mmat.metrics.decisions import confidence
from mmat.tagging import result
from mmat.tagging.result import Picture, Tag, Tagging, TimedTag
from tests.tagging.taggings import FILES, LABELS, tagging, value_tagging


def test_tables_name_events_reasons_and_missing_scores():
    plain, full = (result.as_table(tagging(FILES[0]), explain) for explain in (False, True))
    assert "fire engine" not in plain.lower().replace("fire engine, fire truck", "")
    for words in ("a b.mp4: 3.0 s, sound and pictures", "both", "1.2", "75  yes"):
        assert words in plain
    assert re.search(r"picture   fire engine +0\.900 +1\.000 +0\.6", full)


def many(n: int, n_fired: int) -> Tagging:
    """Of n labels with the threshold 0.05 the first have scores of 0.2, the others of 0.01."""
    names = tuple(f"label {i}" for i in range(n))
    fired = np.arange(n) < n_fired
    scores = np.where(fired, np.float32(0.2), np.float32(0.01))
    thresholds = np.full(n, 0.05, np.float32)
    sure = confidence(MULTI_LABEL, scores, thresholds)
    tags = tuple(
        Tag(name, float(score), bool(yes), float(score), None, float(share))
        for name, score, yes, share in zip(names, scores, fired, sure, strict=True)
    )
    events = tuple(TimedTag(tag.label, 0.0, 1.0, 0.2, "audio", 0.826) for tag in tags if tag.fired)
    record = (names, thresholds, scores, np.tile(scores, (10, 1)), fired, tags, events)
    return Tagging("a.wav", 1.0, *record, True, False)


def test_a_table_says_how_sure_tags_are_what_fires_and_what_it_lacks():
    lines = result.as_table(many(40, 13), top=10).splitlines()
    assert lines[1].split() == ["tag", "sure", "fires", "audio", "video"]
    # odds of 1 : 4 against those of 1 : 19
    assert lines[3].split() == ["label", "0", "83", "yes", "83"]
    assert [line for line in lines if " yes " in line] == lines[3:13]
    assert lines[13].startswith("sure: 50 and more fires")
    assert lines[13].endswith("labels not shown: 3 that fire and 27 that do not")
    assert len([line for line in lines if line.endswith(" audio")]) == 10
    every = result.as_table(many(40, 13)).splitlines()
    assert sum(" yes " in line for line in every) == 13
    few = result.as_table(many(40, 1), top=10).splitlines()
    assert [line.split()[3] for line in few[3:8]] == ["yes", "no", "no", "no", "no"]
    assert few[8].endswith("labels not shown: 35 that do not")
    assert "not shown" not in result.as_table(many(3, 1))


def test_print_and_repr_of_many_tags_are_short():
    tagging = many(521, 40)
    assert len(str(tagging).splitlines()) < 30
    told = repr(tagging)
    assert told == (
        "<Tagging of a.wav, 1.0 s: label 0 (sure 83); label 1 (sure 83); label 2 (sure 83); "
        "label 3 (sure 83); label 4 (sure 83); and 35 more>"
    )
    assert repr(many(3, 0)) == "<Tagging of a.wav, 1.0 s: nothing fired>"


def test_the_best_are_those_that_fire_with_their_events():
    best = many(40, 13).best(2)
    assert [tag.label for tag in best.tags] == ["label 0", "label 1"]
    assert [event.label for event in best.events] == ["label 0", "label 1"]
    assert len(best.labels) == 40 and best.fired.sum() == 13
    assert many(40, 0).best(2).tags == ()


def test_a_plot_shows_the_pictures(tmp_path):
    from PIL import Image

    red = np.zeros((12, 16, 3), np.uint8)
    red[..., 0] = 255
    seen = Picture(1.0, red, ((LABELS[1], 0.875),))
    sizes = []
    for name, pictures in (("with", (seen,)), ("without", ())):
        log_mel = np.zeros((120, 64), np.float32)
        result.plot(tagging("a.mp4", pictures=pictures, log_mel=log_mel), tmp_path / f"{name}.png")
        pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")).astype(int)
        is_red = (pixels[..., 0] > 250) & (pixels[..., 1:] < 5).all(axis=-1)
        sizes.append(is_red.sum())
    assert sizes[0] > 10_000 and sizes[1] == 0


def test_a_value_is_a_value_in_tables():
    tagging = value_tagging()
    table = result.as_table(tagging).splitlines()
    assert table[1].split() == ["tag", "value", "audio", "video"]
    assert table[3].split() == ["mood", "-1.500", "-1.500"]
    assert table[5].split() == ["event", "from", "s", "to", "s", "mean", "by"]
    assert table[7].split() == ["mood", "0.0", "1.0", "1.250", "audio"]


def test_a_scale_without_negative_values_needs_no_sign():
    tagging = dataclasses.replace(value_tagging(), task=regression(0, 5))
    assert tagging.text_of(tagging.events[0]) == "mood 1"
