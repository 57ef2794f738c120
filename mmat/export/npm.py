"""Packages of npm, pinned by version and checksum, and kept in the cache.

`npm pack` fetches a package as it lies in the registry, and runs nothing of it.
"""

import base64
import dataclasses
import gzip
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping

from mmat.files import InputError, atomic_path, cache_folder, damage_as_error, iter_tar, one_line

_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class NpmPackage:
    """A package of npm, and what is used of it.

    name: with the version, as npm takes it. integrity: the tarball's sha512 as npm writes it.
    members: what is used of the tarball, each by its own name here.
    """

    name: str
    integrity: str
    members: Mapping[str, str]

    @property
    def file(self) -> str:
        """What npm calls the tarball.

        >>> NpmPackage("@litertjs/core@2.5.3", "", {}).file
        'litertjs-core-2.5.3.tgz'
        """
        return self.name.removeprefix("@").replace("/", "-").replace("@", "-") + ".tgz"


def unpacked(package: NpmPackage, folder: str | os.PathLike | None = None) -> dict[str, bytes]:
    """Return what is used of a package, by its name here; npm fetches it once.

    folder: the cache, by default mmat's. Raises InputError without npm, where it fails, for another
    tarball than the pinned one, and for one in which a member is missing.
    """
    path = fetched(package, folder)
    with damage_as_error(path, "an npm package"), gzip.open(path) as stream:
        names = package.members
        found = {names[member]: content for member, content in iter_tar(stream, names)}
    missing = sorted(set(names.values()) - set(found))
    if missing:
        raise InputError(f"{path}: without {missing[-1]}; remove it and run the command again")
    return found


def fetched(package: NpmPackage, folder: str | os.PathLike | None = None) -> pathlib.Path:
    """Return a package's tarball in the cache, checked; raises what `unpacked` does."""
    path = cache_folder(folder) / "npm" / package.file
    if not path.exists():
        with atomic_path(path) as part, tempfile.TemporaryDirectory() as workplace:
            _npm_pack(package, workplace, path)
            tarball = pathlib.Path(workplace, package.file)
            _check(tarball, f"{package.name} as npm fetched it", package)
            shutil.copyfile(tarball, part)
    _check(path, str(path), package)
    return path


def _npm_pack(package: NpmPackage, workplace: str, path: pathlib.Path) -> None:
    """Let npm leave the package in a folder; path: where it goes from there."""
    otherwise = f"or put the package's tarball at {path}"
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"{package.name}: npm, which fetches it, is not here; install npm (Debian: npm), "
            f"{otherwise}"
        )
    command = [npm, "pack", package.name, "--silent"]
    try:
        done = subprocess.run(
            command, cwd=workplace, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{package.name}: npm: {one_line(error, 200)}; {otherwise}") from error
    if done.returncode:
        why = one_line(ValueError(done.stderr or done.stdout), 200)
        raise InputError(
            f"{package.name}: npm cannot fetch it: {why}; try again with a network, {otherwise}"
        )


def _check(path: pathlib.Path, name: str, package: NpmPackage) -> None:
    """Raise InputError for another file than the pinned one."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").digest()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; remove it") from error
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != package.integrity:
        raise InputError(
            f"{name}: another file than expected: its integrity is {found}, not "
            f"{package.integrity}; remove it and run the command again"
        )
