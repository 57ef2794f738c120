"""Tables of Raven and Parquet as lists of clips, and as the events of another list."""

import pathlib

import pandas as pd
import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Event
from mmat.lists.read import read_list, read_lists
from mmat.media.find import MediaFolder

RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies"
)
DAWN = f"""{RAVEN}
1\tWaveform 1\t1\t0.5\t1.25\t0\t8000\tWren
1\tSpectrogram 1\t1\t0.5\t1.25\t0\t8000\tWren
2\tSpectrogram 1\t1\t3\t4\t0\t8000\tOwl
3\tSpectrogram 1\t1\t5\t4\t0\t8000\tOwl
"""


@pytest.fixture
def dawn(tmp_path) -> pathlib.Path:
    path = tmp_path / "dawn.Table.1.selections.txt"
    path.write_text(DAWN)
    return path


def test_a_selection_table_is_a_clip_with_its_events(dawn):
    found = read_list(dawn)
    (clip,) = found.clips
    assert (clip.id, clip.file, clip.labels) == ("dawn", "dawn", ("Wren", "Owl"))
    assert clip.events == (Event("Wren", 0.5, 1.25), Event("Owl", 3.0, 4.0))
    assert found.labels.names == ("Owl", "Wren")
    assert [str(row).rpartition("/")[2] for row in found.dropped] == [
        "dawn.Table.1.selections.txt:5: offset 4 is not after onset 5"
    ]
    with pytest.raises(InputError, match=r"selections\.txt:5: offset 4 is not after"):
        read_list(dawn, strict=True)


def test_points_in_time_and_whole_files_are_labels_of_the_clip(tmp_path):
    track, ids = tmp_path / "dawn.txt", tmp_path / "id.csv"
    track.write_text("0.500000\t1.250000\tWren\n2.000000\t2.000000\tOwl\n")
    ids.write_text("INDIR,FOLDER,IN FILE,AUTO ID*,MANUAL ID*\n/d,,a.wav,Owl,\n/d,,a.wav,Crow,\n")
    with pytest.warns(
        UserWarning, match=r"dawn\.txt: labels of a point in time: 1, first in line 2"
    ):
        (clip,) = read_list(track, strict=True).clips
    assert clip.labels == ("Wren", "Owl") and clip.events == (Event("Wren", 0.5, 1.25),)
    (clip,) = read_list(ids, strict=True).clips
    assert (clip.file, clip.labels, clip.events) == ("a.wav", ("Owl", "Crow"), ())


def test_a_point_in_time_is_no_event_of_a_list(tmp_path):
    path, track = tmp_path / "list.csv", tmp_path / "dawn.txt"
    path.write_text("file,labels\ndawn.wav,Wren;Owl\n")
    track.write_text("2.000000\t2.000000\tOwl\n0.500000\t1.250000\tWren\n")
    with pytest.warns(UserWarning, match="labels of a point in time: 1, first in line 1"):
        (clip,) = read_list(path, events=track, strict=True).clips
    assert clip.labels == ("Wren", "Owl") and clip.events == (Event("Wren", 0.5, 1.25),)


def test_labels_outside_a_label_set_are_wrong_rows(dawn):
    found = read_list(dawn, LabelSet.of(["Wren"]))
    assert found.clips[0].labels == ("Wren",)
    assert "unknown label 'Owl'" in found.dropped[0].reason


def test_a_table_a_sound_are_read_as_one_list(dawn, tmp_path):
    dusk = tmp_path / "dusk.BirdNET.selection.table.txt"
    dusk.write_text(f"{RAVEN}\n1\tSpectrogram 1\t1\t0\t3\t0\t8000\tNightjar\n")
    found = read_lists([dawn, dusk])
    assert [clip.id for clip in found.clips] == ["dawn", "dusk"]
    assert found.labels.names == ("Nightjar", "Owl", "Wren")


def test_tables_that_name_no_label_are_clips_without_one_beside_others(dawn, tmp_path):
    quiet = tmp_path / "quiet.Table.1.selections.txt"
    quiet.write_text(f"{RAVEN}\n")
    none = tmp_path / "none.BirdNET.selection.table.txt"
    none.write_text(f"{RAVEN}\tBegin Path\n1\tS\t1\t0\t3\t0\t9\tnocall\t/d/none.wav\n")
    found = read_lists([quiet, none, dawn])
    assert [(clip.file, clip.labels) for clip in found.clips] == [
        ("quiet", ()),
        ("none.wav", ()),
        ("dawn", ("Wren", "Owl")),
    ]
    assert found.labels.names == ("Owl", "Wren")
    assert [row.line for row in found.dropped] == [5]
    with pytest.raises(InputError, match=r"quiet.*txt: no row names a label; give a label set$"):
        read_lists([quiet, none])
    assert read_list(quiet, LabelSet.of(["Owl"])).clips[0].events == ()


def test_a_table_gives_the_times_of_a_lists_clips(dawn, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("file,labels,split\ndawn.wav,Wren;Owl,test\nnoon.wav,Wren,train\n")
    found = read_list(path, events=dawn)
    assert found.clips[0].split == "test" and found.clips[1].events == ()
    assert found.clips[0].events == (Event("Wren", 0.5, 1.25), Event("Owl", 3.0, 4.0))
    path.write_text("file,labels\ndawn.wav,Wren;Owl\ndawn.mp4,Wren\n")
    assert "several clips" in read_list(path, events=dawn).dropped[0].reason


def test_a_file_is_found_among_a_lists_clips_by_the_end_of_its_path(tmp_path):
    path, table = tmp_path / "list.csv", tmp_path / "id.csv"
    path.write_text("file,labels\nnight/1.wav,Owl\nday/1.wav,Owl\n")
    table.write_text("INDIR,FOLDER,IN FILE,OFFSET,DURATION,MANUAL ID\n/d,day,1.wav,1,2,Owl\n")
    night, day = read_list(path, events=table, strict=True).clips
    assert night.events == () and day.events == (Event("Owl", 1.0, 3.0),)


def test_the_media_of_a_table_are_found(tmp_path):
    media = tmp_path / "media"
    (media / "b").mkdir(parents=True)
    for name in ("1.wav", "b/1.wav", "dusk.flac"):
        (media / name).touch()
    alone = tmp_path / "dusk.selections.txt"
    alone.write_text(f"{RAVEN}\n1\tSpectrogram 1\t1\t0\t1\t0\t8000\tOwl\n")
    several = tmp_path / "several.txt"
    rows = [f"{n}\tS\t1\t0\t1\t0\t8000\tOwl\t{media}/{n}\t0" for n in ("1.wav", "b/1.wav")]
    several.write_text("\n".join([f"{RAVEN}\tBegin Path\tFile Offset (s)", *rows]))
    folder = MediaFolder(media)
    found = [
        folder.find(clip).path for table in (alone, several) for clip in read_list(table).clips
    ]
    assert found == [media / name for name in ("dusk.flac", "1.wav", "b/1.wav")]


@pytest.mark.parametrize(
    ("media", "files"),
    [
        (None, ["1.wav"]),
        ("rec", ["a/1.wav", "b/1.wav"]),
        (".", ["rec/a/1.wav", "rec/b/1.wav"]),
        ("rec/a", ["1.wav"]),
        ("elsewhere", ["1.wav"]),
    ],
)
def test_tables_of_one_sound_each_are_told_apart_by_the_media_folder(tmp_path, media, files):
    tables = []
    for name in "ab":
        (tmp_path / "rec" / name).mkdir(parents=True)
        (tmp_path / "rec" / name / "1.wav").touch()
        tables.append(tmp_path / f"{name}.BirdNET.results.csv")
        rows = f"0,3,Strix aluco,Tawny Owl,0.8,D:\\my\\rec\\{name}\\1.wav\n"
        tables[-1].write_text(
            "Start (s),End (s),Scientific name,Common name,Confidence,File\n" + rows
        )
    found = read_lists(tables, media=media and tmp_path / media)
    assert [clip.file for clip in found.clips] == files
    assert len(found.dropped) == 2 - len(files)
    assert all(clip.events == (Event("Tawny Owl", 0.0, 3.0),) for clip in found.clips)


def test_parquet_is_read_as_any_list(tmp_path):
    path = tmp_path / "list.parquet"
    own = {
        "file": ["a.wav", "b/c.wav"],
        "labels": [["Dog", "Cow"], ["Dog"]],
        "split": ["train", "test"],
    }
    pd.DataFrame(own).to_parquet(path)
    found = read_list(path, strict=True)
    assert [clip.labels for clip in found.clips] == [("Dog", "Cow"), ("Dog",)]
    strong = {"filename": ["a.wav"], "onset": [0.1], "offset": [0.30000000000000004]}
    pd.DataFrame(strong | {"event_label": ["Dog"]}).to_parquet(path)
    assert read_list(path).clips[0].events == (Event("Dog", 0.1, 0.30000000000000004),)
    events = {"file": ["/d/a.wav"] * 2, "onset_seconds": [1, 2], "offset_seconds": [1.5, None]}
    pd.DataFrame(events | {"label": ["Dog", "Cow"]}).to_parquet(path)
    found = read_list(path)
    assert found.clips[0].file == "a.wav" and found.clips[0].events == (Event("Dog", 1, 1.5),)
    assert [(row.line, row.reason) for row in found.dropped] == [(3, "the row has no end")]
