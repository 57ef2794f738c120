"""Multiply-adds against counts by hand."""

import keras
import librosa
import numpy as np
import pytest
from keras import layers

from benchmarks.counting import fft_multiply_adds, moved_bytes, multiply_adds
from benchmarks.counting import training_multiply_adds as of_training
from mmat.models.audio import audio_branch, talnet

N_SAMPLES = 160_000


@pytest.fixture(scope="module")
def small():
    """12 samples as 4 × 3 × 1, convolved by 2 × 2 to 5 channels; a GRU of 7 units; 2 classes."""
    waveform = keras.Input((12, 1), name="waveform")
    x = layers.Reshape((4, 3, 1))(waveform)
    x = layers.Conv2D(5, 2, padding="same", name="conv")(x)
    x = layers.Reshape((4, 15))(x)
    x = layers.Bidirectional(layers.GRU(7, return_sequences=True), name="gru")(x)
    x = layers.Dense(2, name="dense")(x)
    return keras.Model({"waveform": waveform}, {"frame": x})


def test_each_layer_by_hand(small):
    assert multiply_adds(small, 12) == {
        "conv": 4 * 3 * 5 * (2 * 2 * 1),
        # at each of 4 steps, both directions, three gates of 7 units from 15 inputs and 7 states
        "gru": 4 * 2 * 3 * 7 * (15 + 7),
        "dense": 4 * 2 * 14,
    }


def test_training_does_all_thrice_but_the_gradient_of_the_first_input(small):
    forwards = multiply_adds(small, 12)
    assert of_training(small, 12) == 3 * sum(forwards.values()) - forwards["conv"]


def test_moved_are_weights_waveforms_and_scores(small):
    n_weights = (5 * 4 + 5) + 2 * (3 * 7 * (15 + 7) + 2 * 3 * 7) + (14 * 2 + 2)
    assert moved_bytes(small, 12, batch_size=3) == 4 * (n_weights + 3 * (12 + 4 * 2))


def test_the_authors_network_by_hand():
    counted = list(multiply_adds(audio_branch(17), N_SAMPLES).values())
    by_hand = [
        401 * fft_multiply_adds(4096),
        401 * np.count_nonzero(librosa.filters.mel(sr=16_000, n_fft=4096, n_mels=64)),
        400 * 64 * 32 * 25,
        400 * 32 * 64 * 25 * 32,
        200 * 16 * 128 * 25 * 64,
        100 * 2 * 300 * (1024 + 100),
        100 * 200 * 17,
    ]
    assert counted == by_hand


def test_talnet_costs_what_its_convolutions_say():
    counted = multiply_adds(talnet(527), N_SAMPLES)
    convolutions = [n for name, n in counted.items() if name.startswith("conv2d")]
    places, filters = (25600, 6400, 1600, 800, 400), (32, 64, 128, 256, 512)
    before = (1, *filters[:-1])
    by_hand = [
        n * 9 * own * given
        for n, own, first in zip(places, filters, before, strict=True)
        for given in (first, own)
    ]
    assert convolutions == by_hand
