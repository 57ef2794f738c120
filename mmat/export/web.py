"""A bundle becomes a folder of a web page that tags sounds in the browser.

Any file server will do, and nothing is sent anywhere: `python -m http.server` in the folder. It has
the page, `model.onnx` (`mmat.export.onnx`), what belongs to the model as `facts.json`, its card,
and in `onnxruntime` what runs it: ONNX Runtime Web of Microsoft (MIT), from its npm package, of
which version and checksum are pinned here.
"""

import base64
import gzip
import hashlib
import importlib.resources
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from mmat.export.card import model_card
from mmat.export.onnx import ONNX_USE, facts_of, onnx_content
from mmat.files import InputError, atomic_path, cache_folder, damage_as_error, iter_tar, one_line
from mmat.models.bundle import Bundle

NPM_PACKAGE = "onnxruntime-web@1.30.0"
# As npm names it: the tarball's sha512.
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZ"
    "ClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
# What the page needs of it, and its name here. `.js`, as some file servers know no `.mjs`.
VENDORED = {
    "package/dist/ort.wasm.bundle.min.mjs": "ort.wasm.bundle.min.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}
MODEL_FILE = "model.onnx"
PAGE_FILES = ("index.html", "page.css", "icon.svg")
PAGE_FILES += ("page.js", "model.js", "tagging.js", "sound.js", "microphone.js")
LICENCE = "onnxruntime.LICENSE.txt"  # the package holds none
NPM_SECONDS = 600


def export_web(bundle: Bundle, folder: str | os.PathLike) -> pathlib.Path:
    """Write a bundle as a page that tags in the browser; return its folder.

    The folder appears whole or not at all; an earlier page there is replaced. Raises InputError for
    a folder that holds something else, for what `mmat.export.onnx.export_onnx` refuses, and where
    ONNX Runtime Web cannot be fetched.
    """
    folder = pathlib.Path(folder)
    _check_target(folder)
    runtime = _unpacked(fetch_runtime())
    model = onnx_content(bundle, folder / MODEL_FILE)
    with atomic_path(folder) as part:
        part.mkdir()
        page = importlib.resources.files("mmat.export") / "web_page"
        for name in PAGE_FILES:
            (part / name).write_bytes((page / name).read_bytes())
        (part / "onnxruntime").mkdir()
        for name, content in runtime.items():
            (part / "onnxruntime" / name).write_bytes(content)
        (part / "onnxruntime" / "LICENSE.txt").write_bytes((page / LICENCE).read_bytes())
        (part / MODEL_FILE).write_bytes(model)
        facts = json.dumps(facts_of(bundle), ensure_ascii=False, indent=1)
        (part / "facts.json").write_text(facts, encoding="utf-8")
        (part / "README.md").write_text(model_card(bundle, use=ONNX_USE), encoding="utf-8")
    return folder


def fetch_runtime(folder: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the npm package of ONNX Runtime Web, checked, in the cache; npm fetches it once.

    folder: the cache, by default mmat's. Raises InputError without npm, where it fails, and for
    another file than the pinned one.
    """
    name = NPM_PACKAGE.replace("@", "-") + ".tgz"
    path = cache_folder(folder) / "npm" / name
    if not path.exists():
        with atomic_path(path) as part, tempfile.TemporaryDirectory() as workplace:
            _npm_pack(workplace, path)
            fetched = pathlib.Path(workplace, name)
            _check(fetched, f"{NPM_PACKAGE} as npm fetched it")
            shutil.copyfile(fetched, part)
    _check(path, str(path))
    return path


def _npm_pack(workplace: str, path: pathlib.Path) -> None:
    """Let npm leave the package in a folder; path: where it goes from there."""
    otherwise = f"or put the package's tarball at {path}"
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"{NPM_PACKAGE}: npm, which fetches it, is not here; install npm (Debian: npm), "
            f"{otherwise}"
        )
    command = [npm, "pack", NPM_PACKAGE, "--silent"]
    try:
        done = subprocess.run(
            command, cwd=workplace, capture_output=True, text=True, timeout=NPM_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{NPM_PACKAGE}: npm: {one_line(error, 200)}; {otherwise}") from error
    if done.returncode:
        why = one_line(ValueError(done.stderr or done.stdout), 200)
        raise InputError(
            f"{NPM_PACKAGE}: npm cannot fetch it: {why}; try again with a network, {otherwise}"
        )


def _check(path: pathlib.Path, name: str) -> None:
    """Raise InputError for another file than the pinned one."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").digest()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; remove it") from error
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != INTEGRITY:
        raise InputError(
            f"{name}: another file than expected: its integrity is {found}, not {INTEGRITY}; "
            "remove it and run the command again"
        )


def _unpacked(tarball: pathlib.Path) -> dict[str, bytes]:
    """Return what the page needs of the package, by its name in the page's folder."""
    with damage_as_error(tarball, "an npm package"), gzip.open(tarball) as stream:
        found = {VENDORED[member]: content for member, content in iter_tar(stream, VENDORED)}
    missing = sorted(set(VENDORED.values()) - set(found))
    if missing:
        raise InputError(f"{tarball}: without {missing[-1]}; remove it and run the command again")
    return found


def _check_target(folder: pathlib.Path) -> None:
    if folder.is_dir():
        is_page = all(
            (folder / name).is_file() for name in ("index.html", "facts.json", MODEL_FILE)
        )
        if any(folder.iterdir()) and not is_page:
            raise InputError(f"{folder}: holds something other than a page; name a new folder")
    elif folder.exists():
        raise InputError(f"{folder}: is a file; name a new folder for the page")
