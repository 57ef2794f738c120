"""Tarballs as npm leaves them, and a program `npm` of the tests' own."""

import base64
import dataclasses
import hashlib
import io
import pathlib
import tarfile
from collections.abc import Mapping

from mmat.export.npm import NpmPackage


def tarball(members: Mapping[str, bytes]) -> bytes:
    """Return what npm's packages are: a gzipped tar archive."""
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return file.getvalue()


def integrity(content: bytes) -> str:
    """Return a file's sha512 as npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def put_in_cache(
    package: NpmPackage, members: Mapping[str, bytes], cache: pathlib.Path
) -> NpmPackage:
    """Put a package of these members into a cache; return it as if it were the pinned one."""
    content = tarball(members)
    (cache / "npm").mkdir(parents=True, exist_ok=True)
    (cache / "npm" / package.file).write_bytes(content)
    return dataclasses.replace(package, integrity=integrity(content))
