"""Clip lists: what is written is read back; what is wrong is named by file and line."""

import dataclasses
import math
import os
import pathlib
import tempfile
import threading
import time
import warnings

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mmat.files import InputError
from mmat.labels import LabelSet, regression
from mmat.lists.clip import Clip, Event, table_of
from mmat.lists.own import write_clip_list
from mmat.lists.read import read_list, read_lists

NAMES = ("Dog", "Train horn", 'Fire engine, "fire truck" (siren)', "Ähre")
LABELS = LabelSet.of(NAMES)

text = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\:"), min_size=1
).map(str.strip)
parts = text.filter(lambda part: part not in ("", ".", ".."))
times = st.floats(0, 86_000, allow_nan=False).map(lambda seconds: round(seconds, 3))


@st.composite
def clips(draw, number):
    labels = tuple(draw(st.lists(st.sampled_from(NAMES), unique=True)))
    start = draw(st.none() | times)
    length = draw(st.none() | st.floats(0.1, 100))
    onsets = sorted(draw(st.lists(times, max_size=3, unique=True))) if labels else []
    return Clip(
        id=f"{number} {draw(text)}".strip(),
        file=f"{number}/" + "/".join(draw(st.lists(parts, min_size=1, max_size=3))) + ".mp4",
        labels=labels,
        start_seconds=start,
        end_seconds=None if length is None else (start or 0.0) + length,
        split=draw(st.sampled_from(["train", "validation", "test", "fold_1"])),
        source_group=draw(text),
        events=tuple(Event(draw(st.sampled_from(labels)), t, t + 0.5) for t in onsets),
        video_id=draw(st.sampled_from(["", "-5QrBL6MzLg"])),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.tuples(*(clips(i) for i in range(n)))))
def test_a_list_is_read_back_as_it_was_written(wanted):
    with tempfile.TemporaryDirectory() as folder:
        path, events = pathlib.Path(folder, "list.csv"), pathlib.Path(folder, "events.tsv")
        write_clip_list(path, wanted, events)
        assert read_list(path, LABELS, events, strict=True).clips == list(wanted)
        without_events = [dataclasses.replace(clip, events=()) for clip in wanted]
        assert read_list(path, LABELS, strict=True).clips == without_events
    columns = table_of(wanted).to_dict("list")
    for name, column in columns.items():
        cells = [None if isinstance(c, float) and math.isnan(c) else c for c in column]
        assert cells == [getattr(clip, name) for clip in wanted]
    assert set(columns) == {field.name for field in dataclasses.fields(Clip)}


def test_the_short_form_of_a_users_own_list(tmp_path):
    """Two columns are enough; a byte order mark, CRLF, blank lines and other columns are fine."""
    path = tmp_path / "list.csv"
    path.write_bytes(
        b"\xef\xbb\xbffile,labels,note\r\n\r\nb/rex.mp4, Dog ; Dog;Train horn,\r\n"
        b"hush.wav,,quiet\r\n"
    )
    rex, hush = read_list(path, LABELS, strict=True).clips
    assert rex == Clip("b/rex", "b/rex.mp4", ("Dog", "Train horn"), split="train")
    assert hush.labels == ()


WRONG = [
    ("file,label\na.wav,Dog\n", 1, "no column 'labels'"),
    ("", None, "the list is empty"),
    ("\n \n", None, "the list is empty"),
    ("a.wav,Dog\n", 1, "no column 'file'"),
    ("file,labels,file\na.wav,Dog,a.wav\n", 1, "two columns 'file'"),
    ("file,labels\n", None, "the list is empty"),
    ("file,labels\na.wav,Dog\nb.wav,Unicorn\n", 3, "unknown label 'Unicorn'"),
    ("file,labels\na.wav,Dog\n\n\na.wav,Dog\n", 5, "duplicate clip 'a', it stands in line 2"),
    ("id,file,labels\nx,a.wav,Dog\nx,b.wav,Dog\n", 3, "the id 'x' is another clip's, see line 2"),
    ("file,labels,start_seconds,end_seconds\na.wav,Dog,5,5\n", 2, "not after"),
    ("file,labels,end_seconds\na.wav,Dog,0\n", 2, "not after"),
    ("file,labels,start_seconds\na.wav,Dog,-1\n", 2, "start_seconds '-1'"),
    ("file,labels,start_seconds\na.wav,Dog,nan\n", 2, "start_seconds 'nan'"),
    ("file,labels,start_seconds\na.wav,Dog,soon\n", 2, "start_seconds 'soon'"),
    ("file,labels\n/etc/a.wav,Dog\n", 2, "absolute path"),
    ("file,labels\nC:\\a.wav,Dog\n", 2, "absolute path"),
    ("file,labels\nb/../../a.wav,Dog\n", 2, "'..'"),
    ("file,labels\nb\\..\\..\\a.wav,Dog\n", 2, "'..'"),
    ("file,labels\n,Dog\n", 2, "names no file"),
    ("file,labels\n.,Dog\n", 2, "no file"),
    ("file,labels\na.wav\n", 2, "fewer cells"),
    ("file,labels\na.wav,Dog,Cat\n", 2, "more cells"),
    ('file,labels\na.wav,"Dog\n', 2, "a quote that is not closed"),
    ("file,labels,split\na.wav,Dog,../x\n", 2, "split"),
]


@pytest.mark.parametrize(("content", "line", "reason"), WRONG)
def test_a_wrong_row_is_named_by_file_line_and_reason(tmp_path, content, line, reason):
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_list(path, LABELS, strict=True)
    message = str(caught.value)
    assert reason in message and "\n" not in message
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: ")


def test_a_list_that_is_no_text_or_no_file(tmp_path):
    (tmp_path / "list.csv").write_bytes("file,labels\nä.wav,Dog\n".encode("latin-1"))
    with pytest.raises(InputError, match="list.csv:2: not UTF-8"):
        read_list(tmp_path / "list.csv", LABELS, strict=True)
    with pytest.raises(InputError, match="No such file"):
        read_list(tmp_path / "absent.csv", LABELS, strict=True)
    with pytest.raises(InputError, match="Is a directory"):
        read_list(tmp_path, LABELS, strict=True)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b.wav\t0\t1\tDog", "in no clip"),
        ("twice.wav\t0\t1\tDog", "in several clips"),
        ("a.wav\t0\t1\tUnicorn", "not among the clip's labels"),
        ("a.wav\t0\t1\tÄhre", "not among the clip's labels"),
        ("a.wav\t2\t1\tDog", "offset 1 is not after onset 2"),
        ("a.wav\t\t1\tDog", "onset '' is not a number"),
        ("a.wav\tx\t1\tDog", "onset 'x'"),
        ("a.wav\t0\t1\tDog", "duplicate event"),
    ],
)
def test_a_wrong_event_is_named_by_file_line_and_reason(tmp_path, row, reason):
    path, events = tmp_path / "list.csv", tmp_path / "events.tsv"
    path.write_text("id,file,labels\n1,a.wav,Dog\n2,twice.wav,Dog\n3,twice.wav,Dog\n")
    events.write_text("filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\n" + row + "\n")
    with pytest.raises(InputError) as caught:
        read_list(path, LABELS, events, strict=True)
    assert reason in str(caught.value) and str(caught.value).startswith(f"{events}:3: ")


def write(folder, text: str, name: str = "list.csv") -> pathlib.Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_table_has_its_columns_and_types(tmp_path):
    table = read_list(write(tmp_path, "file,labels,end_seconds\na.wav,Dog,2\nb.wav,,\n")).table
    names = ["id", "file", "video_id", "start_seconds", "end_seconds"]
    names += ["labels", "split", "source_group", "events", "values"]
    assert list(table.columns) == names
    assert table["start_seconds"].dtype == table["end_seconds"].dtype == float
    assert table["end_seconds"].tolist()[0] == 2 and math.isnan(table["end_seconds"].tolist()[1])
    assert table["labels"].tolist() == [("Dog",), ()]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"caf\xe9.wav,Dog", "not UTF-8"),
        (b"b\0.wav,Dog", "NUL"),
        (b'b.wav,"Dog', "a quote that is not closed"),
        (b'"b".wav,Dog', "a stray quote"),
        (b"b.wav,Dog\rc.wav,Dog", "more cells"),
        (b"../b.wav,Dog", "leaves the media folder"),
        (b"\\\\server\\share\\b.wav,Dog", "absolute"),
        (b"b.wav,Unicorn", "unknown label 'Unicorn'"),
        (b"a.wav,Dog", "duplicate clip 'a', it stands in line 2"),
    ],
)
def test_a_broken_row_costs_that_row_alone(tmp_path, row, reason):
    path = tmp_path / "list.csv"
    path.write_bytes(b"\n".join([b"file,labels", b"a.wav,Dog", b"", row, b"c.wav,Train horn"]))
    found = read_list(path, LABELS)
    assert found.table["id"].tolist() == ["a", "c"]
    (dropped,) = found.dropped
    assert (dropped.file, dropped.line) == (str(path), 4) and reason in dropped.reason
    with pytest.raises(InputError, match="list.csv:4: "):
        read_list(path, LABELS, strict=True)


def test_where_all_rows_are_wrong_the_first_is_named_and_the_rest_counted(tmp_path):
    path = write(tmp_path, "file,labels\na.wav,Wolf\nb.wav,Wolf\nc.wav,Wolf\n")
    with pytest.raises(InputError, match=r"list.csv:2: unknown label 'Wolf' \(nor can the other 2"):
        read_list(path, LABELS)


def test_rows_of_one_clip_bring_their_labels_together(tmp_path):
    text = """file,labels,start_seconds,end_seconds,split,source_group
        a.wav,Dog,,,test,farm
        b.wav,Dog,1,2.5,,
        ./a.wav,Train horn;Dog,,,,
        b.wav,Train horn,1.0,2.500,,
        b.wav,Train horn,2,3,,
        a.wav,Ähre,,,train,
        a.wav,Dog,,,test,"""
    found = read_list(write(tmp_path, text), LABELS)
    assert found.clips == [
        Clip("a", "a.wav", ("Dog", "Train horn"), split="test", source_group="farm"),
        Clip("b_1.000_2.500", "b.wav", ("Dog", "Train horn"), 1.0, 2.5),
        Clip("b_2.000_3.000", "b.wav", ("Train horn",), 2.0, 3.0),
    ]
    assert [(row.line, row.reason) for row in found.dropped] == [
        (7, "duplicate clip 'a' with another split, see line 2"),
        (8, "duplicate clip 'a', it stands in line 2"),
    ]


def test_an_id_is_one_clips_own(tmp_path):
    text = """id,file,labels,start_seconds
        ,a.wav,Dog,
        ,a.mp4,Dog,
        a,a.flac,Dog,
        mine,b.wav,Dog,
        mine,b.wav,Train horn,
        mine,b.wav,Dog,5
        ,b.wav,Dog,5
        other,b.wav,Dog,"""
    found = read_list(write(tmp_path, text))
    assert found.table["id"].tolist() == ["a", "a.mp4", "mine", "b_5.000_end", "other"]
    assert found.table["labels"].tolist()[2] == ("Dog", "Train horn")
    assert [row.line for row in found.dropped] == [4, 7]
    assert "the id 'a' is another clip's, see line 2" in found.dropped[0].reason


def test_without_a_label_set_the_names_that_occur_are_it(tmp_path):
    text = "labels\tfile\nZebra;Dog\ta.wav\nAnt\t../b.wav\nHorse, pony\tc.wav\n"
    found = read_list(write(tmp_path, text))
    assert found.labels.names == ("Dog", "Horse, pony", "Zebra")
    with pytest.raises(InputError, match="no row names a label"):
        read_list(write(tmp_path, "file,labels\na.wav,\n"))


def test_lists_are_joined(tmp_path):
    train = write(tmp_path, "file,labels\na.wav,Dog\nb.wav,Cat\n", "train.csv")
    test = write(tmp_path, "file,labels,split\nc.wav,Emu,test\na.wav,Dog,test\n", "test.csv")
    found = read_lists([train, test])
    assert found.labels.names == ("Cat", "Dog", "Emu")
    assert found.table[["id", "split"]].values.tolist() == [
        ["a", "train"],
        ["b", "train"],
        ["c", "test"],
    ]
    assert found.table.index.tolist() == [0, 1, 2]
    (dropped,) = found.dropped
    assert (dropped.file, dropped.line) == (str(test), 3) and "earlier list" in dropped.reason
    with pytest.raises(InputError, match="test.csv:3: duplicate clip 'a'"):
        read_lists([train, test], strict=True)


def test_the_split_that_is_asked_for_is_every_clips(tmp_path):
    path = write(tmp_path, "file,labels,split\na.wav,Dog,test\nb.wav,Dog,?\n")
    assert read_list(path, split="fold_1").table["split"].tolist() == ["fold_1", "fold_1"]
    with pytest.raises(InputError, match="letters, digits"):
        read_list(path, split="../x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the list is empty"),
        (b"\xff\xfef\0i\0l\0e", "damaged UTF-16"),
        (bytes(range(256)) * 40, "not a text file"),
        (b"x" * (1 << 21), "a line of a megabyte"),
        (b"\x89PNG\r\n\x1a\n" + b"picture" * 99, r"list\.csv:1: not UTF-8; save the list as UTF-8"),
        ("file,labels,dur\xe9e\na.wav,Dog,1\n".encode("latin-1"), ":1: not UTF-8; save the list"),
        (b"a,b\n1,2\n", ":1: no column 'file'; the first line"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, content, reason):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_list(path)
    assert str(caught.value).startswith(f"{path}:") and "\n" not in str(caught.value)


def test_a_list_may_come_through_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "file,labels\n" + "".join(f"{i}.wav,Dog\n" for i in range(5000))
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert len(read_list(pipe).table) == 5000
    writer.join()


def test_a_label_with_the_separator_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="';'"):
        write_clip_list(tmp_path / "list.csv", [Clip("a", "a.wav", ("Dog; cat",))])
    with pytest.raises(InputError, match="line break"):
        write_clip_list(tmp_path / "list.csv", [Clip("a", "a\n.wav", ("Dog",))])


def test_a_clip_may_come_from_several_sources(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("file,labels,source_group\na.wav,Dog,kennel; yard;kennel\nb.wav,Dog,\n")
    clips = read_list(path).clips
    assert [clip.source_groups for clip in clips] == [("kennel", "yard"), ("b.wav",)]
    write_clip_list(tmp_path / "again.csv", clips)
    assert read_list(tmp_path / "again.csv").clips == clips
    of_video = Clip("x", "deep/x.wav", video_id="-Gbohom8C4Q")
    assert of_video.source_groups == ("-Gbohom8C4Q",)


# --- lists as spreadsheets and joined files have them


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={0}\r\n"])
def test_a_list_that_a_spreadsheet_wrote(tmp_path, encoding, mark, first):
    """In German: semicolons or tabs, decimal commas, quotes around what holds a semicolon."""
    rows = [
        ["File", "Labels", "start_seconds", "end_seconds", "split"],
        ['"a;b.wav"', '"Dog;Ähre"', "1,5", "2,25", "test"],
        ["rex.mp4", "Dog", "", "", ""],
        ["", "", "", "", ""],
        ["c.wav", "Dog", "", "", "train", "", ""],
    ]
    text = "".join(mark.join(row) + "\r\n" for row in rows)
    path = tmp_path / "list.csv"
    path.write_bytes((first.format(mark) + text).encode(encoding))
    found = read_list(path, LABELS, strict=True)
    assert found.clips == [
        Clip("a;b_1.500_2.250", "a;b.wav", ("Dog", "Ähre"), 1.5, 2.25, "test"),
        Clip("rex", "rex.mp4", ("Dog",)),
        Clip("c", "c.wav", ("Dog",)),
    ]


def test_values_with_a_decimal_comma(tmp_path):
    labels = LabelSet(("mood",), task=regression(-3, 3))
    path = write(tmp_path, "file;labels\na.wav;mood=-1,5\nb.wav;mood=x\n")
    found = read_list(path, labels)
    assert found.clips[0].values == (-1.5,) and found.dropped[0].line == 3
    with pytest.raises(InputError, match="its labels are values such as 'mood=-1,5'"):
        read_list(write(tmp_path, "file;labels\na.wav;mood=-1,5\n"))


def test_the_header_of_the_second_of_two_joined_lists_is_no_clip(tmp_path):
    text = "file,labels,split\na.wav,Dog,train\n"
    path = write(tmp_path, text + "\ufeffFile,labels,split\nb.wav,Dog,test\n")
    found = read_list(path, LABELS)
    assert [(clip.id, clip.split) for clip in found.clips] == [("a", "train"), ("b", "test")]
    (dropped,) = found.dropped
    assert (dropped.line, dropped.reason) == (3, "the header of line 1 again")
    path = write(tmp_path, text + "file,labels,source_group\nb.wav,Dog,kennel\n")
    with pytest.raises(InputError, match="list.csv:3: another header, of other columns than in"):
        read_list(path, LABELS)
    clips = read_list(write(tmp_path, "file,labels\nfile,Dog\nlabels,Dog\n")).clips
    assert [clip.file for clip in clips] == ["file", "labels"]


@pytest.mark.parametrize("end", ["86400.5", "1e7", "1e300"])
def test_no_clip_ends_after_a_day_unless_it_is_asked_for(tmp_path, end):
    path = write(tmp_path, f"file,labels,end_seconds\na.wav,Dog,86400\nb.wav,Dog,{end}\n")
    found = read_list(path)
    assert [clip.id for clip in found.clips] == ["a_0.000_86400.000"]
    assert str(found.dropped[0]).startswith(f"{path}:3: end_seconds '{end}' is later than 86400 s")
    assert read_list(path, max_seconds=1e301, strict=True).clips[1].end_seconds == float(end)


def test_a_cell_that_is_too_long_is_not_called_a_quote(tmp_path):
    long = "x" * 200_000
    path = write(tmp_path, f'file,labels\na.wav,Dog\n"{long}",Dog\nb.wav,"{long}\nc.wav,Dog\n')
    found = read_list(path)
    assert [clip.id for clip in found.clips] == ["a", "c"]
    assert [(row.line, row.reason[:23]) for row in found.dropped] == [
        (3, "a quoted cell of more t"),
        (4, "a quote that is not clo"),
    ]


def test_spellings_of_one_label_are_one_label(tmp_path):
    text = "file,labels\na.wav,Cafe\u0301\nb.wav,Caf\u00e9\nc.wav,C\u200baf\u00e9\ufeff\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_list(write(tmp_path, text))
    assert found.labels.names == ("Caf\u00e9",)
    assert {clip.labels for clip in found.clips} == {("Caf\u00e9",)}
    assert read_list(write(tmp_path, text), LabelSet.of(["Cafe\u0301"]), strict=True).clips


def test_labels_that_look_alike_are_warned_of(tmp_path):
    alike = "D\N{CYRILLIC SMALL LETTER O}g"
    path = write(tmp_path, f"file,labels\na.wav,Dog\nb.wav,{alike}\n")
    with pytest.warns(UserWarning, match=r"list.csv: the labels 'Dog' and 'D\\u043eg' look alike"):
        assert read_list(path).labels.names == ("Dog", alike)
    found = read_list(path, LabelSet.of(["Dog"]))
    assert found.dropped[0].reason == r"unknown label 'D\u043eg'"


def test_many_labels_take_time_in_proportion(tmp_path):
    """Of one clip in many rows, and of many clips; both took the square of it."""
    rows = "".join(f"one.wav,label {i}\n{i}.wav,label {i}\n" for i in range(50_000))
    began = time.process_time()
    found = read_list(write(tmp_path, "file,labels\n" + rows))
    assert len(found.clips[0].labels) == len(found.labels) == 50_000
    assert time.process_time() - began < 20  # it takes 2 s; a square would be minutes
