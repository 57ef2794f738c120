"""Tiny models, trained by nobody, and small media files, made once for every test that names this
module in `pytest_plugins`.
"""

import os
import pathlib

import numpy as np
import pytest

from mmat.labels import LabelSet

TINY_LABELS = LabelSet.of(["Dog", "Cat, kitten", "Train"])


@pytest.fixture(scope="session")
def bundles(models_cache, tmp_path_factory) -> dict[str, pathlib.Path]:
    """Folders of untrained models by the senses they have: audio, video and fused."""
    # Here, for the tests that need no TensorFlow.
    import keras

    from mmat.models.audio import audio_branch
    from mmat.models.bundle import Bundle, save_bundle
    from mmat.models.fusion import fused_model
    from mmat.models.video import video_branch

    keras.utils.set_random_seed(0)
    similarities = np.random.default_rng(0).random((1000, len(TINY_LABELS)), np.float32)
    models = {"audio": audio_branch(TINY_LABELS)}
    models["video"] = video_branch(TINY_LABELS, similarities=similarities)
    models["fused"] = fused_model(models["audio"], models["video"])
    folder = tmp_path_factory.mktemp("bundles")
    for name, model in models.items():
        network = "" if name == "audio" else "efficientnet_lite0"
        bundle = Bundle(model, TINY_LABELS, np.float32([0.0, 0.5, 1.0]), network, n_frames=2)
        save_bundle(folder / name, bundle)
    return {name: folder / name for name in models}


@pytest.fixture(scope="session")
def exports(bundles, tmp_path_factory) -> dict[str, pathlib.Path]:
    """The same models exported."""
    from mmat.export.savedmodel import export_saved_model
    from mmat.models.bundle import load_bundle

    folder = tmp_path_factory.mktemp("exports")
    return {
        name: export_saved_model(load_bundle(bundle), folder / name)
        for name, bundle in bundles.items()
    }


@pytest.fixture(scope="module")
def loaded_once():
    """`mmat tag` in this process loads a model once for a file of tests: it takes the longest."""
    from mmat.tagging import tagger

    load, loaded = tagger.load, {}

    def load_once(path=None, *options):
        key = path and os.path.realpath(path), *options
        if key not in loaded:
            loaded[key] = load(path, *options)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tagger, "load", load_once)
        yield


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> pathlib.Path:
    """A folder of small media: both.mp4, sound.mp4, pictures.mp4 and sound.wav, 2 s each."""
    import soundfile

    from tests.media.made_media import make_sine, write_media_file

    folder = tmp_path_factory.mktemp("clips")
    write_media_file(folder / "both.mp4")
    write_media_file(folder / "sound.mp4", video=None)
    write_media_file(folder / "pictures.mp4", audio=None)
    soundfile.write(folder / "sound.wav", make_sine(), 44100)
    return folder
