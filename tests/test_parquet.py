"""Parquet as lines of text: every kind of cell, and files that are none."""

import builtins
import decimal
import io

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from mmat.files import InputError
from mmat.parquet import check_parquet, parquet_bytes, parquet_lines
from mmat.tables import row_cells


def lines_of(content: bytes) -> list[bytes]:
    return list(parquet_lines("x.parquet", io.BytesIO(content)))


def test_cells_are_text_whatever_they_were(tmp_path):
    table = pd.DataFrame(
        {
            "file": ["a,b.wav", 'the "c".wav', "two\nlines.wav"],
            "labels": [["Dog", "Cow"], [], None],
            "onset": [0.1, float("nan"), 2.0],
            "n": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    table.to_parquet(tmp_path / "x.parquet")
    header, *rows = lines_of((tmp_path / "x.parquet").read_bytes())
    assert row_cells(header, ",") == ["file", "labels", "onset", "n"]
    assert [row_cells(row, ",") for row in rows] == [
        ["a,b.wav", "Dog;Cow", "0.1", "1"],
        ['the "c".wav', "", "", ""],
        ["two\nlines.wav", "", "2.0", "3"],
    ]


def test_cells_of_other_writers_types(tmp_path):
    names = ["a.wav", "b.wav"]
    table = pyarrow.table(
        {
            "file": pyarrow.array([name.encode() for name in names]),
            "labels": [["Dog", None, "Cow"], [None]],
            "onset": pyarrow.array([0.5, 3.0], "float16"),
            "offset": pyarrow.array([1_500_000_001, 86_400_000_000], pyarrow.duration("us")),
            "end": pyarrow.array([decimal.Decimal("1.50"), None]),
            "tag": pyarrow.array(names, pyarrow.large_string()).dictionary_encode(),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    _, *rows = lines_of((tmp_path / "x.parquet").read_bytes())
    assert [row_cells(row, ",") for row in rows] == [
        ["a.wav", "Dog;Cow", "0.5", "1500.000001", "1.50", "a.wav"],
        ["b.wav", "", "3.0", "86400.0", "", "b.wav"],
    ]


def test_a_pipe_is_read_too():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    content = parquet_bytes({"file": ["a"]}, ["string"])
    assert list(parquet_lines("-", Pipe(content))) == [b"file\n", b"a\n"]


@pytest.mark.parametrize("cut", [4, 20, -20])
def test_a_damaged_file_is_one_line(cut):
    content = parquet_bytes({"file": ["a.wav"] * 99}, ["string"])[:cut]
    with pytest.raises(InputError, match=r"^x\.parquet: damaged Parquet: .+$"):
        lines_of(content)


def test_damage_inside_is_one_line_or_another_text():
    content = bytearray(parquet_bytes({"file": [f"{i}.wav" for i in range(999)]}, ["string"]))
    refused = 0
    for place in range(0, len(content), 97):
        spoilt = content.copy()
        spoilt[place] ^= 255
        try:
            lines_of(bytes(spoilt))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused


def test_without_pyarrow_one_is_told_what_to_install(monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"x: needs pyarrow; .*'mmat\[parquet\]'"):
        check_parquet("x")
