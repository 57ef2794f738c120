"""Taggings as text and as Parquet: read back by the readers that they are meant for."""

import csv
import io
import json

import pytest
import sed_eval

from mmat.annotations import from_common_folder
from mmat.labels import MULTI_LABEL
from mmat.lists.read import read_list
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


def written(form, path, files, **more):
    """Write taggings of files that hold the same events, and return where they stand."""
    pieces = form.write(tagging(file, **more) for file in files)
    path.write_bytes(b"".join(p if isinstance(p, bytes) else p.encode() for p in pieces))
    return path


TOOL_FORMS = [
    pytest.param(forms.RavenForm(), 1e-6, id="raven"),
    pytest.param(forms.kaleidoscope_form(), 1e-6, id="kaleidoscope"),
    pytest.param(forms.ParquetForm(), 0, id="parquet"),
]


@pytest.mark.parametrize(("form", "precision"), TOOL_FORMS)
@pytest.mark.parametrize(
    "files",
    [
        ["/data/a b.mp4"],
        ["/data/a/1.wav", "/data/b/1.wav", "/data/c, d/1.wav"],
        ['/data/the "old" one.wav', '/data/"new".wav', "/data/Œuvre; 2.wav"],
    ],
)
def test_what_a_tool_is_given_comes_back_as_strong_labels(form, precision, files, tmp_path):
    found = read_list(written(form, tmp_path / "events", files), strict=True)
    assert found.dropped == ()
    assert [clip.file for clip in found.clips] == list(from_common_folder(files).values())
    for clip in found.clips:
        assert clip.labels == (LABELS[1],)
        times = [(event.onset_seconds, event.offset_seconds) for event in clip.events]
        assert [event.label for event in clip.events] == [LABELS[1]] * 2
        expected = [pytest.approx(each, abs=precision) for each in [(0.5, 1.2), (2.0, 2.5)]]
        assert times == expected


@pytest.mark.parametrize("form", [forms.RavenForm(), forms.kaleidoscope_form()])
def test_a_line_break_or_tab_in_a_name_makes_no_row(form, tmp_path):
    path = written(form, tmp_path / "events", ["/data/one\ttwo\nthree.wav"])
    assert len(path.read_text().splitlines()) == 3
    (clip,) = read_list(path, strict=True).clips
    assert clip.file == "one two three.wav"


def test_raven_counts_selections_and_seconds_over_all_files():
    text = text_of(forms.RavenForm(), ["/data/a.wav", "/data/b.wav"])
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["Selection"] for row in rows] == ["1", "2", "3", "4"]
    assert {(row["View"], row["Channel"]) for row in rows} == {("Spectrogram 1", "1")}
    begins = [float(row["Begin Time (s)"]) for row in rows]
    assert begins == [0.5, 2.0, 3.5, 5.0]  # a file is 3 s long
    assert [float(row["File Offset (s)"]) for row in rows] == [0.5, 2.0, 0.5, 2.0]
    assert [row["Begin File"] for row in rows] == ["a.wav", "a.wav", "b.wav", "b.wav"]
    first = rows[0]
    assert (first["Common Name"], first["Confidence"], first["Score"]) == (
        LABELS[1],
        "0.900000",
        "0.900000",
    )
    assert float(first["Low Freq (Hz)"]) < float(first["High Freq (Hz)"])


def test_kaleidoscope_parts_a_path_as_birdnet_analyzer_does():
    text = text_of(forms.kaleidoscope_form(), ["/data/2026/night 1/a,b.wav"])
    row = next(csv.DictReader(io.StringIO(text)))
    place = [row[name] for name in ("INDIR", "FOLDER", "IN FILE")]
    assert place == ["/data/2026", "night 1", "a,b.wav"]
    assert (float(row["OFFSET"]), float(row["DURATION"])) == (0.5, 0.7)
    assert (row["common_name"], row["MANUAL ID"]) == (LABELS[1], "")


def test_parquet_has_a_row_an_event_with_types(tmp_path):
    import pandas as pd

    path = written(forms.ParquetForm(), tmp_path / "events.parquet", ["a\tb\n.wav", "c.wav"])
    table = pd.read_parquet(path)
    assert list(table["file"]) == ["a\tb\n.wav"] * 2 + ["c.wav"] * 2
    assert table.loc[0].to_dict() == {
        "file": "a\tb\n.wav",
        "onset_seconds": 0.5,
        "offset_seconds": 1.2,
        "label": LABELS[1],
        "score": 0.9,
        "confidence": 0.9,
        "modality": "both",
    }
    empty = pd.read_parquet(written(forms.ParquetForm(), tmp_path / "empty.parquet", []))
    assert len(empty) == 0 and empty.dtypes.to_dict() == table.dtypes.to_dict()
    values = b"".join(forms.ParquetForm().write([value_tagging()]))
    moods = pd.read_parquet(io.BytesIO(values))
    assert list(moods["score"]) == [1.25, -0.125, -2.25] and moods["confidence"].isna().all()


@pytest.mark.parametrize("form", [forms.RavenForm(), forms.kaleidoscope_form()])
def test_without_events_a_table_is_its_header(form):
    (header,) = text_of(form, []).splitlines()
    assert text_of(form, ["a.wav"]).splitlines()[0] == header
