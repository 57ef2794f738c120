"""Taggings as text: read back by the readers that they are meant for."""

import csv
import dataclasses
import io
import json
import re

import numpy as np
import pytest
import sed_eval

from mmat.labels import MULTI_LABEL, regression
from mmat.lists.formats import EVENT_COLUMNS
from mmat.metrics.decisions import confidence
from mmat.tagging import result
from mmat.tagging.result import Picture, Reason, Tag, Tagging, TimedTag

LABELS = ("Dog", "Fire engine, fire truck (siren)")


def tagging(file: str, **more) -> Tagging:
    tags = (
        Tag(LABELS[1], 0.75, True, 0.5, 0.875, 0.75),
        Tag(LABELS[0], 0.25, False, 0.25, None, 0.25),
    )
    events = (
        TimedTag(LABELS[1], 0.5, 1.2, 0.9, "both", 0.9),
        TimedTag(LABELS[1], 2.0, 2.5, 0.8, confidence=0.8),
    )
    reasons = (Reason(LABELS[1], "video", "fire engine", 0.9, 1.0, 0.6),)
    frames = np.full((30, 2), 0.25, np.float32)
    scores = np.float32([0.25, 0.75])
    fired = np.array([False, True])
    record = (file, 3.0, LABELS, np.float32([0.5, 0.5]), scores, frames, fired, tags, events)
    return Tagging(*record, True, True, reasons=reasons, **more)


FILES = ["a b.mp4", 'tab\tand "quote".wav']


def text_of(form, files=FILES) -> str:
    return "".join(form.write(tagging(file) for file in files))


def test_json_has_an_object_a_file_and_an_array_for_several():
    one = json.loads(text_of(result.json_form(several=False), FILES[:1]))
    assert (one["file"], one["task"]) == ("a b.mp4", str(MULTI_LABEL))
    assert one["tags"][0] == {
        "label": LABELS[1],
        "score": 0.75,
        "fired": True,
        "audio_score": 0.5,
        "video_score": 0.875,
        "confidence": 0.75,
    }
    assert (one["n_labels"], one["n_fired"]) == (2, 1)
    assert one["events"][0] == {
        "label": LABELS[1],
        "onset_seconds": 0.5,
        "offset_seconds": 1.2,
        "score": 0.9,
        "modality": "both",
        "confidence": 0.9,
    }
    for files in ([], FILES[:1], FILES):
        found = json.loads(text_of(result.json_form(several=True), files))
        assert [each["file"] for each in found] == files


def test_json_explains_where_it_is_asked_to():
    whole = json.loads(text_of(result.json_form(several=False, explain=True), FILES[:1]))
    first, second = whole["tags"]
    assert second["video_score"] is None
    assert first["reasons"] == [
        {
            "sense": "video",
            "name": "fire engine",
            "probability": 0.9,
            "similarity": 1.0,
            "seconds": 0.6,
        }
    ]
    assert second["reasons"] == []
    assert "problem" not in whole
    cut = result.json_form(several=False).one(tagging("a", problem="it ends"))
    assert json.loads(cut)["problem"] == "it ends"


def test_csv_has_a_row_a_file_and_label():
    rows = list(csv.DictReader(io.StringIO(text_of(result.csv_form()))))
    assert [(row["file"], row["label"]) for row in rows] == [
        (file, label) for file in FILES for label in LABELS[::-1]
    ]
    assert rows[1] == {
        "file": "a b.mp4",
        "label": "Dog",
        "score": "0.250000",
        "fired": "0",
        "audio_score": "0.250000",
        "video_score": "",
        "confidence": "0.250000",
    }


def test_sed_eval_reads_the_event_list(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text(text_of(result.events_form()), encoding="utf-8")
    assert path.read_text().split("\n")[0].split("\t") == list(EVENT_COLUMNS)
    found = [dict(event) for event in sed_eval.io.load_event_list(str(path))]
    assert len(found) == 4
    assert found[0] == {
        "filename": "a b.mp4",
        "onset": 0.5,
        "offset": 1.2,
        "event_label": LABELS[1],
    }
    assert "\t" not in found[2]["filename"]


def test_an_audacity_label_track_is_three_columns_without_a_head():
    rows = text_of(result.audacity_form(), FILES[:1]).splitlines()
    assert rows == [f"0.500000\t1.200000\t{LABELS[1]}", f"2.000000\t2.500000\t{LABELS[1]}"]


def test_tables_name_events_reasons_and_missing_scores():
    plain, full = (text_of(result.table_form(explain), FILES[:1]) for explain in (False, True))
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
    whole = json.loads(result.json_form(several=False).one(best))
    assert (len(whole["tags"]), whole["n_labels"], whole["n_fired"]) == (2, 40, 13)


FORMS = [
    result.table_form(),
    result.json_form(several=True),
    result.csv_form(),
    result.events_form(),
    result.audacity_form(),
]


@pytest.mark.parametrize("form", FORMS)
def test_each_file_ends_its_line_before_the_next_one_is_there(form):
    written, lines_were_whole = [], []

    def files():
        for file in FILES:
            lines_were_whole.append(not written or written[-1].endswith("\n"))
            yield tagging(file)

    for text in form.write(files()):
        written.append(text)
    assert lines_were_whole == [True, True] and len(written) >= 2
    assert "".join(written).endswith("\n")


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


@pytest.mark.parametrize("form", [result.csv_form, result.events_form])
def test_without_files_the_head_stands_alone(form):
    assert text_of(form(), []) == form().before


def value_tagging(**more) -> Tagging:
    """A mood that is -1.5 over the clip: 1 at first, then 0, then -2."""
    tags = (Tag("mood", -1.5, True, -1.5, None),)
    stretches = [(0.0, 1.0, 1.25), (1.0, 1.5, -0.125), (1.5, 3.0, -2.25)]
    events = tuple(TimedTag("mood", *stretch) for stretch in stretches)
    frames = np.repeat(np.float32([[1.25], [-0.125], [-2.25]]), [10, 5, 15], axis=0)
    record = ("a.wav", 3.0, ("mood",), np.ones(1), np.float32([-1.5]), frames, np.array([True]))
    return Tagging(*record, tags, events, True, False, task=regression(-3, 3), **more)


def test_a_value_is_a_value_in_every_form():
    tagging = value_tagging()
    whole = json.loads(result.json_form(several=False).one(tagging))
    assert whole["task"] == "regression -3 3"
    assert whole["tags"][0]["score"] == -1.5 and whole["tags"][0]["fired"] is True
    assert [event["label"] for event in whole["events"]] == ["mood"] * 3
    assert result.csv_form().one(tagging) == "a.wav,mood,-1.500000,1,-1.500000,,\n"
    track = result.audacity_form().one(tagging).splitlines()
    assert [row.split("\t")[2] for row in track] == ["mood +1", "mood 0", "mood -2"]
    events = result.events_form().one(tagging).splitlines()
    assert events[1] == "a.wav\t1.000\t1.500\tmood 0"
    table = result.as_table(tagging).splitlines()
    assert table[1].split() == ["tag", "value", "audio", "video"]
    assert table[3].split() == ["mood", "-1.500", "-1.500"]
    assert table[5].split() == ["event", "from", "s", "to", "s", "mean", "by"]
    assert table[7].split() == ["mood", "0.0", "1.0", "1.250", "audio"]


def test_a_scale_without_negative_values_needs_no_sign():
    tagging = dataclasses.replace(value_tagging(), task=regression(0, 5))
    assert tagging.text_of(tagging.events[0]) == "mood 1"
