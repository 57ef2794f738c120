"""Download of the public lists: DCASE 2017 task 4 and AudioSet, checked by sha256.

`data_lists/CORPUS/sources.csv` names file, address, sha256, rows and licence; the README beside it
gives the sources of these. Files whose sha256 could not be verified have none there: they are
fetched only with a sha256 from the user, or when the user trusts the server for once; their rows
are counted too, and their sha256 is recorded for later (`SHA256SUMS`).
"""

import csv
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from mmat.corpora.downloads import PATIENCE, Patience, download, file_sha256
from mmat.files import InputError, atomic_path, cache_folder, data_list

CORPORA = ("dcase2017", "audioset")
# A hundred megabytes beside two: only for those who ask for it.
UNBALANCED = "unbalanced_train_segments.csv"
_SHA256 = r"[0-9a-fA-F]{64}"
RECORD = "SHA256SUMS"  # in the form that `sha256sum --check` reads


@dataclasses.dataclass(frozen=True)
class ListedFile:
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
    """A file to fetch: from where, to which path, and the sha256 that it must have, if known."""

    listed: ListedFile
    url: str
    path: pathlib.Path
    sha256: str | None


def read_list_files(path: str | os.PathLike) -> list[ListedFile]:
    """Read a `sources.csv`.

    >>> files = read_list_files(data_list("dcase2017", "sources.csv"))
    >>> files[0].file, files[0].rows
    ('training_set.csv', 51172)
    """
    with open(path, encoding="utf-8", newline="") as file:
        return [
            ListedFile(
                **{**row, "rows": int(row["rows"]), "header_lines": int(row["header_lines"])}
            )
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
    corpus, and for an expected sha256 that is malformed, of another file, or not the listed one.

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
    recorded = _read_record(folder)
    planned = []
    for each in files:
        sha256 = _agreed(each, expected.pop(each.file, None)) or recorded.get(each.file)
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
    planned: Iterable[Planned],
    progress: bool = True,
    patience: Patience = PATIENCE,
    trust_server: bool = False,
) -> Iterator[tuple[pathlib.Path, int]]:
    """Fetch what `plan_lists` returned; yield `(path, rows)` as each file is there.

    A file that is there and right is not fetched again. trust_server: files without a sha256 are
    accepted, and theirs is recorded beside them. Otherwise they are left out, and named by an
    InputError when the others are there. Raises InputError as `download` does, too, and for another
    number of rows than listed where the list has no sha256.

    >>> list(fetch_lists([]))
    []
    """
    unknown = []
    for each in planned:
        if not each.sha256 and not trust_server:
            unknown.append(each.listed.file)
            continue
        # A listed sha256 is enough; one from the user may be of another file.
        check = None if each.listed.sha256 else _row_check(each)
        download(each.url, each.path, each.sha256, check, progress, patience)
        if not each.sha256:
            _record(each)
        yield each.path, count_rows(each.path, each.listed.header_lines)
    if unknown:
        raise InputError(
            f"{', '.join(unknown)}: not fetched: no sha256 of the official content is on record; "
            "name the one that you expect with --sha256 FILE=HEX, once for each file, or take what "
            "the server has with --trust-server"
        )


def count_rows(path: str | os.PathLike, header_lines: int = 0) -> int:
    """Return the number of lines that are not blank, after `header_lines`.

    >>> count_rows(data_list("dcase2017", "sources.csv"), header_lines=1)
    7
    """
    with open(path, "rb") as file:
        return sum(bool(line.strip()) for i, line in enumerate(file) if i >= header_lines)


def _record(planned: Planned) -> None:
    """Record the sha256 of a file that has none in the list."""
    folder = planned.path.parents[len(pathlib.PurePosixPath(planned.listed.file).parts) - 1]
    sums = _read_record(folder) | {planned.listed.file: file_sha256(planned.path)}
    with atomic_path(folder / RECORD) as part:
        part.write_text("".join(f"{sha256}  {file}\n" for file, sha256 in sums.items()))


def _read_record(folder: pathlib.Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        return {}
    lines = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    if not all(len(line) == 2 and re.fullmatch(_SHA256, line[0]) for line in lines):
        raise InputError(f"{path}: not in the form of sha256sum; move it away and fetch again")
    return {file: sha256 for sha256, file in lines}


def _agreed(file: ListedFile, expected: str | None) -> str | None:
    """Return the sha256 to check: the listed one, else the user's."""
    if expected is None:
        return file.sha256 or None
    if not re.fullmatch(_SHA256, expected):
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
                f"compare it with the copy of {listed.file} that you trust"
            )

    return check
