"""Sounds of two labels, one of them wrong, and the tagger that is trained on them once for all."""

import contextlib
import pathlib

import numpy as np
import pytest

from mmat.evaluation.evaluate import choose_clips
from mmat.training.own import Trained
from tests.training.made_sounds import TONE, silence, tone, write_sound, write_sounds
from tests.training.trained_own import WRONG, trained_on


@contextlib.contextmanager
def one_best_and_one_worst():
    """Pictures of clips take their time: one of the best and one of the worst in each report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose_clips, "__defaults__", (1,))
        yield


@pytest.fixture(scope="module")
def few_pictures():
    with one_best_and_one_worst():
        yield


@pytest.fixture(scope="session")
def own_sounds(tmp_path_factory) -> pathlib.Path:
    """A folder with `sounds`, in which one label is wrong, and `others` to measure on."""
    place = tmp_path_factory.mktemp("own")
    write_sounds(place / "sounds", range(6))
    write_sounds(place / "others", range(10, 13))
    write_sound(place / "sounds" / WRONG, np.concatenate([silence(1.0), tone(3.0, 7)]))
    (place / "sounds" / TONE / "notes.txt").write_text("recorded on Monday\n")
    return place


@pytest.fixture(scope="session")
def own_trained(models_cache, own_sounds) -> Trained:
    """The tagger in its folder `model`, beside `cache`."""
    source, test = own_sounds / "sounds", own_sounds / "others"
    left_out = r"1 files are no .* \(1 \.txt\), .* left out: Sine wave/not"
    with one_best_and_one_worst(), pytest.warns(UserWarning, match=left_out):
        return trained_on(source, own_sounds / "model", own_sounds / "cache", test=test)
