"""A bundle becomes a folder of a web page that tags sounds in the browser.

Any file server will do, and nothing is sent anywhere: `python -m http.server` in the folder. It has
the page, `model.tflite` (`mmat.export.litert.listening_network`), what belongs to the model as
`facts.json`, its card, and in `litert` what runs it: LiteRT for web of Google (Apache 2.0), from
its npm packages, of which version and checksum are pinned here.
"""

import importlib.resources
import json
import os
import pathlib

import numpy as np

from mmat.export.archive import Archive
from mmat.export.card import facts_of, model_card
from mmat.export.litert import TFLiteFigures, listening_network, measure_tflite
from mmat.export.npm import NpmPackage, unpacked
from mmat.export.served import Facts
from mmat.files import InputError, atomic_path
from mmat.models.bundle import Bundle

# Of each form of the runtime the browser takes one: `compat` where it has no relaxed SIMD.
_FORMS = ("litert_wasm_internal", "litert_wasm_compat_internal")
LITERT = NpmPackage(
    "@litertjs/core@2.5.3",
    "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0"
    "FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    {"package/dist/index.js": "litert.js"}
    | {f"package/wasm/{form}.{end}": f"{form}.{end}" for form in _FORMS for end in ("js", "wasm")},
)
WASM_UTILS = NpmPackage(
    "@litertjs/wasm-utils@2.5.3",
    "sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKH"
    "i05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    {"package/dist/index.js": "wasm-utils.js"},
)
# In `litert.js`: a browser finds no package by its bare name, and is not asked for a graphics card,
# which the page does not use, and whose lack it would report.
CHANGES = {
    b'from "@litertjs/wasm-utils"': b'from "./wasm-utils.js"',
    b"await Environment.create()": b"await Environment.create({webGpuDevice: null})",
}
_NOTICE = b"/* Changed by mmat: where wasm-utils.js lies, and no graphics card is looked for. */\n"
MODEL_FILE = "model.tflite"
PAGE_FILES = ("index.html", "page.css", "icon.svg")
PAGE_FILES += ("page.js", "model.js", "tagging.js", "sound.js", "microphone.js")
LICENCE = "litert.LICENSE.txt"  # the packages hold none
_EARLIER_MODEL = "model.onnx"  # of the page, until it took LiteRT
WEB_USE = """\
This card is about `model.tflite` beside it, which the page gives to LiteRT for web. Its signature
`serving_default` takes `waveform`, float32 (1, samples, 1), 16 kHz mono in [-1, 1], with zeros
behind a shorter clip, and `n_samples`, int32 (1), how long that is; it returns `clip` and `frame`
(10 a second). Labels and thresholds are in `facts.json`. A clip with a sample that is NaN or
infinite gets NaN for every number."""


def export_web(bundle: Bundle, folder: str | os.PathLike) -> pathlib.Path:
    """Write a bundle as a page that tags in the browser; return its folder.

    The folder appears whole or not at all; an earlier page there is replaced. Raises InputError for
    a folder that holds something else, for a model that hears nothing, where LiteRT for web cannot
    be fetched, and where the converter fails.
    """
    folder = pathlib.Path(folder)
    _check_target(folder)
    runtime = _runtime()
    network = listening_network(bundle, folder)
    with atomic_path(folder) as part:
        part.mkdir()
        page = importlib.resources.files("mmat.export") / "web_page"
        for name in PAGE_FILES:
            (part / name).write_bytes((page / name).read_bytes())
        (part / "litert").mkdir()
        for name, content in runtime.items():
            (part / "litert" / name).write_bytes(content)
        (part / "litert" / "LICENSE.txt").write_bytes((page / LICENCE).read_bytes())
        facts = json.dumps(facts_of(bundle), ensure_ascii=False, indent=1)
        (part / "facts.json").write_text(facts, encoding="utf-8")
        card = model_card(bundle, use=WEB_USE)
        (part / "README.md").write_text(card, encoding="utf-8")
        (part / MODEL_FILE).write_bytes(network)
        thresholds = np.asarray(bundle.thresholds, np.float32)
        archive = Archive(Facts(bundle.labels, thresholds, bundle.clip_seconds))
        archive.append_to(part / MODEL_FILE, card)  # so that mmat reads it too
    return folder


def measure_web(folder: str | os.PathLike, bundle: Bundle) -> TFLiteFigures:
    """Measure a page's network on this machine, as `mmat.export.litert.measure_tflite` does."""
    return measure_tflite(pathlib.Path(folder, MODEL_FILE), bundle)


def _runtime() -> dict[str, bytes]:
    """Return the files of LiteRT for web by name."""
    files = unpacked(LITERT) | unpacked(WASM_UTILS)
    script = files["litert.js"]
    for found, better in CHANGES.items():
        if found not in script:
            raise InputError(f"{LITERT.name}: litert.js: without {found.decode()!r}; report it")
        script = script.replace(found, better)
    return files | {"litert.js": _NOTICE + script}


def _check_target(folder: pathlib.Path) -> None:
    if folder.is_dir():
        is_page = all((folder / name).is_file() for name in ("index.html", "facts.json")) and any(
            (folder / name).is_file() for name in (MODEL_FILE, _EARLIER_MODEL)
        )
        if any(folder.iterdir()) and not is_page:
            raise InputError(f"{folder}: holds something other than a page; name a new folder")
    elif folder.exists():
        raise InputError(f"{folder}: is a file; name a new folder for the page")
