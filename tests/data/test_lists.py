"""Clip lists: what is written is read back; what is wrong is named by file and line."""

import dataclasses
import pathlib
import tempfile

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mmat.data.lists import Clip, Event, read_clip_list, write_clip_list
from mmat.errors import InputError
from mmat.labels import LabelSet

NAMES = ("Dog", "Train horn", 'Fire engine, "fire truck" (siren)', "Ähre")
LABELS = LabelSet.of(NAMES)

text = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\:"), min_size=1
).map(str.strip)
parts = text.filter(lambda part: part not in ("", ".", ".."))
times = st.floats(0, 1e6, allow_nan=False).map(lambda seconds: round(seconds, 3))


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
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.tuples(*(clips(i) for i in range(n)))))
def test_a_list_is_read_back_as_it_was_written(wanted):
    with tempfile.TemporaryDirectory() as folder:
        path, events = pathlib.Path(folder, "list.csv"), pathlib.Path(folder, "events.tsv")
        write_clip_list(path, wanted, events)
        assert read_clip_list(path, LABELS, events) == list(wanted)
        without_events = [dataclasses.replace(clip, events=()) for clip in wanted]
        assert read_clip_list(path, LABELS) == without_events


def test_the_short_form_of_a_users_own_list(tmp_path):
    """Two columns are enough; a byte order mark, CRLF, blank lines and other columns are fine."""
    path = tmp_path / "list.csv"
    path.write_bytes(
        b"\xef\xbb\xbffile,labels,note\r\n\r\nb/rex.mp4, Dog ; Dog;Train horn,\r\n"
        b"hush.wav,,quiet\r\n"
    )
    rex, hush = read_clip_list(path, LABELS)
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
        read_clip_list(path, LABELS)
    message = str(caught.value)
    assert reason in message and "\n" not in message
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: ")


def test_a_list_that_is_no_text_or_no_file(tmp_path):
    (tmp_path / "list.csv").write_bytes("file,labels\nä.wav,Dog\n".encode("latin-1"))
    with pytest.raises(InputError, match="list.csv:2: not UTF-8"):
        read_clip_list(tmp_path / "list.csv", LABELS)
    with pytest.raises(InputError, match="No such file"):
        read_clip_list(tmp_path / "absent.csv", LABELS)
    with pytest.raises(InputError, match="Is a directory"):
        read_clip_list(tmp_path, LABELS)


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
        read_clip_list(path, LABELS, events)
    assert reason in str(caught.value) and str(caught.value).startswith(f"{events}:3: ")


def test_a_label_with_the_separator_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="';'"):
        write_clip_list(tmp_path / "list.csv", [Clip("a", "a.wav", ("Dog; cat",))])
