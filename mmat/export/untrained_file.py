"""Untrained tagging of any labels out of one LiteRT file in the cache, without TensorFlow.

The file knows no labels: what the model knows of them is given with every call. So it is made once,
by `mmat.export.untrained` in a process of its own, and then serves every label set. It holds three
signatures, `serving_default` and `audio_only` as in `mmat.export.litert`, and `weights`, which says
how much a name counts for each label; the image network lies in it as a zip member, and beside that
a checksum of the rest. One that is damaged is made again.
"""

import contextlib
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np

from mmat import __version__
from mmat.export.archive import IMAGES_FILE, members_of
from mmat.export.served import Facts
from mmat.export.tflite_file import TFLiteTagger
from mmat.files import InputError, cache_folder, data_list
from mmat.models.kin import N_RIVALS, competition, kin_pairs, rivals_of, speech_and_other_acts
from mmat.models.name_maps import N_FRAMES, NameMaps
from mmat.pretrained.registry import efficientnet_lite0, yamnet

SOUND_NETWORK, IMAGE_NETWORK = yamnet, efficientnet_lite0
CLIP_SECONDS = 10.0
WEIGHTS = "weights"
# What the file is given of the labels, float32, by name, and the number of its axes.
LABEL_INPUTS = {
    "sound_similarities": 2,
    "image_similarities": 2,
    "rivals": 2,
    "power": 0,
    "is_broad": 1,
    "is_narrow": 1,
}
# Raise it with every change of what `mmat.models.names.zero_shot_outputs` computes, and of what
# lies in the file.
FORM = 2
N_KEPT = 3  # files, of versions of mmat that share a cache


class UntrainedTagger(TFLiteTagger):
    """Tags with any labels out of the file that `mmat.export.untrained` writes.

    maps: the labels and what the networks' names mean to them, of `SOUND_NETWORK` and
    `IMAGE_NETWORK`. Raises InputError for a file that is no such file.
    """

    def __init__(self, path: str | os.PathLike, maps: NameMaps, threads: int | None = None):
        self._name_maps, self._given = maps, _label_inputs(maps)
        super().__init__(path, threads)

    def _set_model(self, content: bytes) -> None:
        self._open()
        maps, given = self._name_maps, self._given
        facts = Facts(
            maps.labels, maps.thresholds, CLIP_SECONDS, N_FRAMES, IMAGE_NETWORK.input_size_px
        )
        with self._computing(self._network) as signatures:
            weights = signatures[WEIGHTS](**{x: given[x] for x in _MAPS})
        label_maps = {name: x[:, : len(maps.labels)] for name, x in weights.items()}
        label_maps |= {
            "sound_similarities": maps.hears,
            "sound_labels": _encoded(SOUND_NETWORK.labels()),
            "sound_hop_seconds": np.float32(SOUND_NETWORK.hop_seconds),
            "sound_window_seconds": np.float32(SOUND_NETWORK.window_seconds),
            "image_similarities": maps.sees,
            "image_labels": _encoded(names[0] for names in IMAGE_NETWORK.labels()),
        }
        with members_of(content) as archive:
            images = archive.read(IMAGES_FILE)
        self._describe(facts, label_maps, images)

    def _run(self, signature: str, waveform, inputs: dict) -> dict[str, np.ndarray]:
        outputs, n_labels = super()._run(signature, waveform, inputs), len(self._name_maps.labels)
        return {
            name: x if name == "sound_probabilities" else x[..., :n_labels]
            for name, x in outputs.items()
        }


_MAPS = ("sound_similarities", "image_similarities")


def _label_inputs(maps: NameMaps) -> dict[str, np.ndarray]:
    """Return what the file is given of labels; labels that are nothing fill up to N_RIVALS."""
    names, n_labels = SOUND_NETWORK.labels(), len(maps.labels)
    n_all = max(n_labels, N_RIVALS)
    nothing = ((0, 0), (0, n_all - n_labels))
    broad, narrow = speech_and_other_acts(maps.hears, names)
    return {
        "sound_similarities": np.pad(maps.hears, nothing),
        "image_similarities": np.pad(maps.sees, nothing),
        "rivals": rivals_of(kin_pairs(maps.hears, names), n_all),
        "power": np.float32(competition(n_labels)),
        "is_broad": np.isin(np.arange(n_all), broad).astype(np.float32),
        "is_narrow": np.isin(np.arange(n_all), narrow).astype(np.float32),
    }


def _encoded(names) -> np.ndarray:
    return np.array([name.encode() for name in names])


def untrained_tagger(maps: NameMaps, path: pathlib.Path | None = None) -> UntrainedTagger | None:
    """Return the tagger of labels out of the cache's file, which is made at the first use.

    path: of another file than the cache's. None where no file can be made or run, so that
    TensorFlow must tag.
    """
    path = path or untrained_path()
    with contextlib.suppress(InputError):  # of a damaged file, which is made again
        if path.is_file():
            tagger = UntrainedTagger(path, maps)
            with contextlib.suppress(OSError):  # of a cache that only others may write
                os.utime(path)
            return tagger
    if not _make(path):
        return None
    with contextlib.suppress(InputError):
        return UntrainedTagger(path, maps)
    return None


def _make(path: pathlib.Path) -> bool:
    """Make the file, and return whether it was; what fills its folder goes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    command = [sys.executable, "-m", "mmat.export.untrained", str(path)]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    _forget_old(path.parent)
    return made.returncode == 0


def untrained_path() -> pathlib.Path:
    """Return where the cache's file is, or would be: another for other weights and versions."""
    pins = data_list("models", "requirements.txt").read_text(encoding="utf-8")
    key = hashlib.sha256(f"{FORM} {__version__} {pins}".encode()).hexdigest()[:16]
    return cache_folder() / "untrained" / f"{key}.tflite"


def _forget_old(folder: pathlib.Path) -> None:
    """Remove the files that were not used for longest, up to N_KEPT."""
    with contextlib.suppress(OSError):  # another process may do the same
        files = sorted(folder.glob("*.tflite"), key=lambda file: file.stat().st_mtime)
        for file in files[:-N_KEPT]:
            file.unlink()
