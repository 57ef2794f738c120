"""Tables as Parquet: read as the lines of a text table, written from columns.

pyarrow is an extra, `pip install 'mmat[parquet]'`; text tables do without.
"""

import csv
import datetime
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from mmat.files import InputError, one_line

MAGIC = b"PAR1"  # a Parquet file begins with it
_INSTALL = "needs pyarrow; install it: pip install 'mmat[parquet]'"


def check_parquet(what: str) -> None:
    """Raise InputError where pyarrow is not installed; what: who asks for it."""
    try:
        import pyarrow.parquet  # noqa: F401  it takes 0.2 s, and most tables are text
    except ImportError:
        raise InputError(f"{what}: {_INSTALL}") from None


def parquet_lines(path: str | os.PathLike, file: BinaryIO) -> Iterator[bytes]:
    """Yield a Parquet file as the lines of a CSV in UTF-8: its columns' names, then row by row.

    A cell that is null or NaN is empty, a list is its values between `;`, a duration its seconds. A
    line may hold a line break, in quotes. Raises InputError where the file cannot be read.

    >>> content = parquet_bytes({"file": ["a.wav"], "score": [None]}, ["string", "float64"])
    >>> list(parquet_lines("a.parquet", io.BytesIO(content)))
    [b'file,score\\n', b'a.wav,\\n']
    """
    check_parquet(os.fspath(path))
    import pyarrow
    import pyarrow.parquet

    try:
        whole = file if file.seekable() else io.BytesIO(file.read())
        table = pyarrow.parquet.ParquetFile(whole)
        yield _csv_line(table.schema_arrow.names)
        for batch in table.iter_batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield _csv_line(map(_cell, row))
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: damaged Parquet: {one_line(error, 120)}") from None


def parquet_bytes(columns: Mapping[str, Sequence], types: Sequence[str]) -> bytes:
    """Return a Parquet file of these columns; types: pyarrow's name of each one's type."""
    import pyarrow
    import pyarrow.parquet

    fields = zip(columns, types, strict=True)
    schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in fields])
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns), schema=schema), out)
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    match value:
        case list():
            return ";".join(filter(None, map(_cell, value)))
        case bytes():  # text in a column whose type does not say so
            return value.decode("utf-8", "surrogateescape")
        case datetime.timedelta():
            return str(value.total_seconds())
    return str(value)


def _csv_line(cells: Iterator[str] | Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode("utf-8", "surrogateescape")
