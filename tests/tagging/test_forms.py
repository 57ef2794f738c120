"""Taggings as text and as Parquet: read back by the readers that they are meant for."""

import csv
import io
import json

import pytest
import sed_eval

from mmat.labels import MULTI_LABEL
from mmat.tables import EVENT_COLUMNS
from mmat.tagging import forms
from tests.tagging.taggings import FILES, LABELS, tagging, value_tagging


def text_of(form, files=FILES) -> str:
    return "".join(form.write(tagging(file) for file in files))


def test_json_has_an_object_a_file_and_an_array_for_several():
    one = json.loads(text_of(forms.json_form(several=False), FILES[:1]))
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
        found = json.loads(text_of(forms.json_form(several=True), files))
        assert [each["file"] for each in found] == files


def test_json_explains_where_it_is_asked_to():
    whole = json.loads(text_of(forms.json_form(several=False, explain=True), FILES[:1]))
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
    cut = forms.json_form(several=False).one(tagging("a", problem="it ends"))
    assert json.loads(cut)["problem"] == "it ends"


def test_json_of_the_best_counts_all():
    whole = json.loads(forms.json_form(several=False).one(tagging("a.wav").best(1)))
    assert (len(whole["tags"]), whole["n_labels"], whole["n_fired"]) == (1, 2, 1)


def test_csv_has_a_row_a_file_and_label():
    rows = list(csv.DictReader(io.StringIO(text_of(forms.csv_form()))))
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
    path.write_text(text_of(forms.events_form()), encoding="utf-8")
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
    rows = text_of(forms.audacity_form(), FILES[:1]).splitlines()
    assert rows == [f"0.500000\t1.200000\t{LABELS[1]}", f"2.000000\t2.500000\t{LABELS[1]}"]


FORMS = [
    forms.table_form(),
    forms.json_form(several=True),
    forms.csv_form(),
    forms.events_form(),
    forms.audacity_form(),
    forms.RavenForm(),
    forms.kaleidoscope_form(),
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


@pytest.mark.parametrize("form", [forms.csv_form, forms.events_form])
def test_without_files_the_head_stands_alone(form):
    assert text_of(form(), []) == form().before


def test_a_value_is_a_value_in_every_form():
    tagging = value_tagging()
    whole = json.loads(forms.json_form(several=False).one(tagging))
    assert whole["task"] == "regression -3 3"
    assert whole["tags"][0]["score"] == -1.5 and whole["tags"][0]["fired"] is True
    assert [event["label"] for event in whole["events"]] == ["mood"] * 3
    assert forms.csv_form().one(tagging) == "a.wav,mood,-1.500000,1,-1.500000,,\n"
    track = forms.audacity_form().one(tagging).splitlines()
    assert [row.split("\t")[2] for row in track] == ["mood +1", "mood 0", "mood -2"]
    events = forms.events_form().one(tagging).splitlines()
    assert events[1] == "a.wav\t1.000\t1.500\tmood 0"
