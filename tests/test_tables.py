"""Text tables as people have them: every encoding, delimiter and mark of numbers."""

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.tables import (
    MAX_SECONDS,
    WrongRow,
    event_columns,
    number,
    numbered_lines,
    read_table,
    row_cells,
    seconds,
)


def lines_of(content: bytes) -> list[tuple[int, bytes]]:
    return list(numbered_lines("list.csv", io.BufferedReader(io.BytesIO(content))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_are_the_same_in_every_encoding_and_with_every_ending(encoding, ending):
    text = ["file\tlabels", "ähre.wav\tÄhre", "", "犬.wav\t犬"]
    found = lines_of((ending.join(text) + ending).encode(encoding))
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert [line.decode().rstrip("\r\n") for _, line in found] == text


def test_utf_16_of_big_endian_and_damaged():
    assert lines_of(b"\xfe\xff" + "a\nb".encode("utf-16-be")) == [(1, b"a\n"), (2, b"b")]
    with pytest.raises(InputError, match=r"list.csv: damaged UTF-16; save the file as UTF-8"):
        lines_of(b"\xff\xfea\0b")


def test_marks_that_are_no_text_are_left_out():
    """Excel's first line, and the byte order mark of the second of two files made one."""
    found = lines_of(b"\xef\xbb\xbfsep=;\r\nfile;labels\r\n\xef\xbb\xbffile;labels\r\n")
    assert found == [(2, b"file;labels\r\n"), (3, b"file;labels\r\n")]
    assert lines_of(b"a\nsep=;\n") == [(1, b"a\n"), (2, b"sep=;\n")]


def test_a_line_of_a_megabyte_is_no_line():
    with pytest.raises(InputError, match="list.csv:2: a line of a megabyte"):
        lines_of(b"a\n" + b"x" * (1 << 21))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'a.wav,"Dog', "a quote that is not closed"),
        (b'a.wav,"' + b"x" * 200_000, "a quote that is not closed"),
        (b'a.wav,"' + b"x" * 200_000 + b'"', "a quoted cell of more than 131,072 characters"),
        (b'"a".wav,Dog', "a stray quote"),
        (b"a\0.wav,Dog", "a NUL byte"),
        (b"\xe4.wav,Dog", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_as_what_it_is(line, reason):
    with pytest.raises(WrongRow, match=reason):
        row_cells(line, ",")


def test_cells_are_parted_by_what_stands_outside_of_quotes():
    assert row_cells(b'"a;b.wav"; "Dog;Cat";1,5\r\n', ";") == ["a;b.wav", "Dog;Cat", "1,5"]
    assert row_cells(b"x" * 200_000 + b",Dog", ",")[1] == "Dog"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_with_either_mark(value):
    assert number(repr(value)) == value
    assert number(f"{value:.17f}".replace(".", ",")) == float(f"{value:.17f}")


@pytest.mark.parametrize(
    "text", ["", "soon", "1_000", "1.000,5", "1,000,5", ",5", "1,", "0x1", "½"]
)
def test_other_texts_are_no_number(text):
    assert math.isnan(number(text))


def test_seconds_have_one_bound():
    assert seconds("86400", "end") == MAX_SECONDS == 86_400
    for text in ("86400.001", "1e7", "1e300", "99999999999"):
        with pytest.raises(WrongRow, match=rf"end '{text}' is later than 86400 s \(a day\)"):
            seconds(text, "end")
    assert seconds("1e7", "end", 1e8) == 1e7
    with pytest.raises(WrongRow, match="later than 60 s, beyond"):
        seconds("61", "end", 60.0)
    for text in ("-1", "nan", "inf", "1e400", ""):
        with pytest.raises(WrongRow, match="is not a number of seconds"):
            seconds(text, "end")


@pytest.mark.parametrize(
    "header",
    [
        "filename onset offset event_label",
        "file event_onset event_offset event_label",
        "segment_id start_time_seconds end_time_seconds label",
        "file start end label",
        "Filename Onset Offset Event_Label",
    ],
)
def test_columns_of_events_have_one_name(header):
    assert event_columns(header.split()) == ("filename", "onset", "offset", "event_label")


def write(folder, content: str):
    path = folder / "table.csv"
    path.write_bytes(content.encode())
    return path


def test_a_table_under_a_header(tmp_path):
    rows = read_table(
        write(tmp_path, 'id;group;x\n\n1;"a;b"\nid;group;x\n2;c;d;e\n'), "list", ["id"]
    )
    assert list(rows) == [
        (3, {"id": "1", "group": "a;b", "x": ""}),
        (5, {"id": "2", "group": "c", "x": "d"}),
    ]


@pytest.mark.parametrize(
    ("content", "required", "reason"),
    [
        ("", ["id"], "table.csv: not a UTF-8 text file|no column 'id'"),
        ("a,b\n", ["id"], "table.csv: no column 'id' in the first line"),
        ("a,b\n", ["a", "id"], "table.csv: the first line must name the columns a, id"),
        ('id,b\n1,"x\n', ["id"], "table.csv:2: a quote that is not closed"),
    ],
)
def test_a_table_that_is_wrong(tmp_path, content, required, reason):
    with pytest.raises(InputError, match=reason):
        list(read_table(write(tmp_path, content), "list", required))
    with pytest.raises(InputError, match="cannot read the list: No such file"):
        list(read_table(tmp_path / "none.csv", "list", required))
