"""The public lists: DCASE 2017 task 4 and AudioSet, each file from a named place, by its sha256.

`data_lists/CORPUS/sources.csv` names file, address, sha256, rows and licence; the README beside it
says where these come from. A file whose sha256 nobody could vouch for has none there: it is
fetched only when the user says which one he expects, and its rows are counted as well.
"""

import csv
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from mmat.errors import InputError
from mmat.fetch.downloads import PATIENCE, Patience, download
from mmat.paths import cache_folder
from mmat.resources import data_list

CORPORA = ("dcase2017", "audioset")
# A hundred megabytes beside two: only for those who ask for it.
UNBALANCED = "unbalanced_train_segments.csv"


@dataclasses.dataclass(frozen=True)
class ListFile:
    """A file of a public list; the fields are the columns of `sources.csv`.

    `file` is its path in the corpus's folder, `sha256` may be empty (not known), `rows` is their
    number after the `header_lines`, blank lines not counted.
    """

    file: str
    url: str
    sha256: str
    rows: int
    header_lines: int
    license: str


@dataclasses.dataclass(frozen=True)
class Planned:
    """A file to fetch: from where, to which path, and the sha256 that it must have ("": none)."""

    listed: ListFile
    url: str
    path: pathlib.Path
    sha256: str


def read_list_files(path: str | os.PathLike) -> list[ListFile]:
    """Read a `sources.csv`.

    >>> files = read_list_files(data_list("dcase2017", "sources.csv"))
    >>> files[0].file, files[0].rows
    ('training_set.csv', 51172)
    """
    with open(path, encoding="utf-8", newline="") as file:
        return [
            ListFile(**{**row, "rows": int(row["rows"]), "header_lines": int(row["header_lines"])})
            for row in csv.DictReader(file)
        ]


def plan_lists(
    corpus: str,
    out: str | os.PathLike | None = None,
    mirror: str | None = None,
    expected_sha256: Mapping[str, str] | None = None,
    unbalanced: bool = False,
    sources: str | os.PathLike | None = None,
) -> list[Planned]:
    """Return what is to fetch and where it goes, without network and without writing.

    corpus: `dcase2017` or `audioset`. out: the folder, `CACHE/lists/CORPUS` by default. mirror: an
    address below which the files lie under their names here, instead of the listed addresses.
    expected_sha256: file → sha256, for the files that have none in the list. unbalanced: AudioSet's
    unbalanced training list too. sources: another `sources.csv`. Raises InputError for an unknown
    corpus, and for an expectation that is malformed, about no file here, or against the list.

    >>> for each in plan_lists("audioset", "lists"):
    ...     print(each.path, each.listed.rows)
    lists/class_labels_indices.csv 527
    lists/balanced_train_segments.csv 22160
    lists/eval_segments.csv 20371
    """
    if corpus not in CORPORA:
        raise InputError(f"corpus {corpus!r}: not known; choose from {', '.join(CORPORA)}")
    folder = pathlib.Path(out or cache_folder() / "lists" / corpus)
    files = read_list_files(sources or data_list(corpus, "sources.csv"))
    files = [each for each in files if unbalanced or each.file != UNBALANCED]
    expected = dict(expected_sha256 or {})
    planned = []
    for each in files:
        sha256 = _agreed(each, expected.pop(each.file, None))
        url = f"{mirror.rstrip('/')}/{each.file}" if mirror else each.url
        planned.append(Planned(each, url, folder / each.file, sha256))
    for name in expected:
        hint = "; add --unbalanced" if name == UNBALANCED and corpus == "audioset" else ""
        raise InputError(
            f"sha256 for {name!r}: not among the files to fetch "
            f"({', '.join(each.file for each in files)}){hint}"
        )
    return planned


def fetch_lists(
    planned: Iterable[Planned], progress: bool = True, patience: Patience = PATIENCE
) -> Iterator[tuple[pathlib.Path, int]]:
    """Fetch what `plan_lists` returned; yield `(path, rows)` as each file is there.

    A file that is there and right is not fetched again. Those without a sha256 are left out, and
    named by an InputError when the others are there. Raises InputError as `download` does, too, and
    for a file with another number of rows than listed where the sha256 is the user's word alone.

    >>> list(fetch_lists([]))
    []
    """
    unknown = []
    for each in planned:
        if not each.sha256:
            unknown.append(each.listed.file)
            continue
        # A listed sha256 says it all; one that a user copied from somewhere says less.
        check = None if each.listed.sha256 else _row_check(each)
        download(each.url, each.path, each.sha256, check, progress, patience)
        yield each.path, count_rows(each.path, each.listed.header_lines)
    if unknown:
        raise InputError(
            f"{', '.join(unknown)}: not fetched: no sha256 of the official content is on record; "
            "name the one that you expect with --sha256 FILE=HEX, once for each file"
        )


def count_rows(path: str | os.PathLike, header_lines: int = 0) -> int:
    """Return the number of lines that are not blank, after `header_lines`.

    >>> count_rows(data_list("dcase2017", "sources.csv"), header_lines=1)
    7
    """
    with open(path, "rb") as file:
        return sum(bool(line.strip()) for i, line in enumerate(file) if i >= header_lines)


def _agreed(file: ListFile, expected: str | None) -> str:
    """Return the sha256 to check: the listed one, else the user's."""
    if expected is None:
        return file.sha256
    if not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        raise InputError(f"sha256 for {file.file}: {expected!r} is not 64 hexadecimal digits")
    expected = expected.lower()
    if file.sha256 and expected != file.sha256:
        raise InputError(
            f"sha256 for {file.file}: {expected} is not the listed {file.sha256}; leave it out"
        )
    return expected


def _row_check(planned: Planned) -> Callable[[pathlib.Path], None]:
    def check(path: pathlib.Path) -> None:
        listed = planned.listed
        rows = count_rows(path, listed.header_lines)
        if rows != listed.rows:
            raise InputError(
                f"{planned.url}: {rows} rows, expected {listed.rows}: not the official list; "
                f"compare the sha256 that you gave for {listed.file}"
            )

    return check
