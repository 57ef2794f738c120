"""What several tests need: embedded weights, the mini corpus, tiny models, small media files."""

import pathlib

import numpy as np
import pytest

from mmat.fetch.sources import fetch_mini, read_sources
from mmat.fetch.weights import fetch_models
from mmat.labels import LabelSet
from mmat.paths import cache_folder
from mmat.resources import data_list


@pytest.fixture(scope="session")
def models_cache() -> pathlib.Path:
    """The cache with the embedded weights in it, fetched where they are not there yet."""
    fetch_models()
    return cache_folder()


@pytest.fixture(scope="session")
def mini_sources() -> pathlib.Path:
    """The folder of the mini corpus's recordings and pictures, fetched where they are absent."""
    return fetch_mini()


@pytest.fixture(scope="session")
def photographs(mini_sources) -> dict[str, pathlib.Path]:
    """The photographs of the mini corpus, by their id in `data_lists/mini/sources.csv`."""
    listed = read_sources(data_list("mini", "sources.csv"))
    return {each.id: mini_sources / each.file for each in listed if each.kind == "photograph"}


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
    models = {"audio": audio_branch(len(TINY_LABELS)), "video": video_branch(similarities)}
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
    from mmat.models.bundle import load_bundle
    from mmat.serving.export import export_saved_model

    folder = tmp_path_factory.mktemp("exports")
    return {
        name: export_saved_model(load_bundle(bundle), folder / name)
        for name, bundle in bundles.items()
    }


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> pathlib.Path:
    """A folder of small media: both.mp4, sound.mp4, pictures.mp4 and sound.wav, 2 s each."""
    import soundfile

    from tests.data.conftest import make_sine, write_media_file

    folder = tmp_path_factory.mktemp("clips")
    write_media_file(folder / "both.mp4")
    write_media_file(folder / "sound.mp4", video=None)
    write_media_file(folder / "pictures.mp4", audio=None)
    soundfile.write(folder / "sound.wav", make_sine(), 44100)
    return folder
