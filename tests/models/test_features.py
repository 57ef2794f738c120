import warnings

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.features import (
    BandNormalization,
    Float32Mel,
    KeepFrames,
    MelParameters,
    log_mel,
    with_float32_mel,
)
from tests.models.layer_checks import check_layer

RATE_HZ = 16000
MEL_ARGUMENTS = ("fft_samples", "window_samples", "hop_samples", "filterbank")


def reference(samples: np.ndarray, p: MelParameters = MelParameters()) -> np.ndarray:
    """The authors' recipe by librosa: decibels (frames, bands) of a waveform (samples,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a clip is shorter than the transform
        spectrum = librosa.stft(
            samples.astype(np.float64),
            n_fft=p.fft_samples,
            win_length=p.window_samples,
            hop_length=p.hop_samples,
            center=True,
            pad_mode="constant",
        )
    bands = librosa.filters.mel(
        sr=p.sample_rate_hz,
        n_fft=p.fft_samples,
        n_mels=p.mel_bands,
        fmin=p.mel_min_hz,
        fmax=p.mel_max_hz,
        dtype=np.float64,
    )
    decibels = 10 * np.log10(np.maximum(bands @ np.abs(spectrum), p.amplitude_floor))
    decibels = np.maximum(decibels, decibels.max() - p.dynamic_range_db)
    return decibels.T[: -(-len(samples) // p.hop_samples)]


def model_decibels(samples: np.ndarray, p: MelParameters = MelParameters()) -> np.ndarray:
    return log_mel(samples[None, :, None].astype(np.float32), p).numpy()[0, ..., 0]


def time_axis(n_samples):
    return np.arange(n_samples) / RATE_HZ


def chirp(n_samples):
    t = time_axis(n_samples)
    return 0.8 * np.sin(2 * np.pi * (50 * t + (7900 - 50) / (2 * t[-1]) * t**2))


def impulse(n_samples):
    samples = np.zeros(n_samples)
    samples[n_samples // 3] = 1.0
    return samples


SIGNALS = {
    "noise": np.random.default_rng(0).uniform(-1, 1, 48000),
    "quiet noise": 1e-4 * np.random.default_rng(1).normal(size=16000),
    "sine": 0.5 * np.sin(2 * np.pi * 440 * time_axis(32000)),
    "high sine": np.sin(2 * np.pi * 7777 * time_axis(16000)),
    "sine, then silence": np.r_[np.sin(2 * np.pi * 1000 * time_axis(8000)), np.zeros(8000)],
    "sweep": chirp(32000),
    "silence": np.zeros(16000),
    "impulse": impulse(16000),
    "one sample": np.array([0.5]),
    "one less than a hop": np.random.default_rng(2).uniform(-1, 1, 399),
    "one more than a hop": np.random.default_rng(3).uniform(-1, 1, 401),
    "ten seconds": np.random.default_rng(4).normal(0, 0.1, 160000),
    "loud at the very end": np.r_[np.zeros(7999), 1.0],
}


@pytest.mark.parametrize("samples", SIGNALS.values(), ids=SIGNALS.keys())
def test_log_mel_equals_librosa(samples):
    samples = samples.astype(np.float32)
    got, expected = model_decibels(samples), reference(samples)
    assert got.shape == expected.shape and got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-3, rtol=0)


@settings(max_examples=12, deadline=None)
@given(n_samples=st.integers(1, 20000), level=st.sampled_from([1.0, 1e-3]), seed=st.integers(0, 99))
def test_log_mel_equals_librosa_at_any_length(n_samples, level, seed):
    samples = np.float32(level * np.random.default_rng(seed).uniform(-1, 1, n_samples))
    np.testing.assert_allclose(model_decibels(samples), reference(samples), atol=1e-3, rtol=0)


def test_other_parameters_are_followed():
    p = MelParameters(32000, 2048, 800, 320, 40, 60.0, 12000.0, 1e-8, 60.0)
    samples = SIGNALS["noise"].astype(np.float32)
    np.testing.assert_allclose(model_decibels(samples, p), reference(samples, p), atol=1e-3)
    assert p.hop_seconds == 0.01


def test_each_clip_of_a_batch_has_its_own_range():
    loud, quiet = SIGNALS["noise"][:16000], SIGNALS["quiet noise"]
    together = log_mel(np.float32([loud, quiet])[..., None]).numpy()[..., 0]
    np.testing.assert_allclose(together[0], reference(np.float32(loud)), atol=1e-3)
    np.testing.assert_allclose(together[1], reference(np.float32(quiet)), atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_log_mel_is_float32_under_any_policy(policy):
    samples = SIGNALS["sweep"].astype(np.float32)
    keras.config.set_dtype_policy(policy)
    try:
        waveform = keras.Input((None, 1))
        decibels = log_mel(waveform)
        got = keras.Model(waveform, decibels)(samples[None, :, None]).numpy()
    finally:
        keras.config.set_dtype_policy("float32")
    assert decibels.dtype == "float32" and got.dtype == np.float32
    np.testing.assert_allclose(got[0, ..., 0], reference(samples), atol=1e-3, rtol=0)


@pytest.fixture(scope="module")
def both_mels() -> tuple:
    """The log-mel `(batch, frames, bands, 1)` in float64 and in float32, as graphs."""
    waveform = keras.Input((None, 1))
    model = keras.Model(waveform, log_mel(waveform))
    spec = [tf.TensorSpec((None, None, 1), tf.float32)]
    return tuple(
        tf.function(each, input_signature=spec, autograph=False)
        for each in (model, with_float32_mel(model))
    )


@settings(max_examples=40, deadline=None)
@given(
    frequency_hz=st.floats(20, 7980),
    level=st.floats(-4, 0).map(lambda power: 10**power),
    phase=st.floats(0, 2 * np.pi),
)
def test_float32_is_within_a_tenth_of_a_decibel_35_under_a_pure_tone(
    both_mels, frequency_hz, level, phase
):
    tone = level * np.sin(2 * np.pi * frequency_hz * time_axis(8000) + phase)
    expected, found = (mel(np.float32(tone)[None, :, None]).numpy() for mel in both_mels)
    counts = expected > expected.max() - 35
    assert counts.any()
    np.testing.assert_allclose(found[counts], expected[counts], atol=0.1, rtol=0)


@pytest.mark.parametrize("name", ["noise", "quiet noise", "sweep", "silence", "ten seconds"])
def test_float32_is_float64_where_every_band_sounds(both_mels, name):
    samples = np.float32(SIGNALS[name])[None, :, None]
    expected, found = (mel(samples).numpy() for mel in both_mels)
    loud = expected > expected.max() - 35
    np.testing.assert_allclose(found[loud], expected[loud], atol=1e-3, rtol=0)
    assert found.shape == expected.shape and found.dtype == np.float32


def test_float32_mel_layer():
    bank = {"sample_rate": 16000, "n_freq": 65, "n_mels": 6, "f_max": 7000.0}
    waveforms = np.random.default_rng(0).normal(size=(2, 400, 1)).astype("float32")
    check_layer(Float32Mel, dict(zip(MEL_ARGUMENTS, (128, 100, 40, bank), strict=True)), waveforms)


def test_a_model_without_a_log_mel_stays_as_it_is():
    waveform = keras.Input((None, 1))
    model = keras.Model(waveform, keras.layers.Dense(1)(waveform))
    assert with_float32_mel(model) is model


def test_keep_frames_layer():
    rng = np.random.default_rng(0)
    check_layer(
        KeepFrames,
        {"hop_samples": 400},
        [rng.normal(size=(2, 9, 3)).astype("float32"), np.zeros((2, 2001, 1), "float32")],
        output_dtype=None,
    )


def test_band_normalization_layer():
    decibels = np.random.default_rng(0).normal(-30, 10, (2, 5, 4, 1)).astype("float32")
    check_layer(BandNormalization, {}, decibels)


def test_band_normalization_equals_numpy_over_uneven_batches():
    rng = np.random.default_rng(0)
    offsets = np.linspace(-60, 20, 6)[:, None]
    batches = [
        (offsets + rng.normal(0, 1 + np.arange(6)[:, None], (n, frames, 6, 1))).astype("float32")
        for n, frames in ((3, 50), (1, 7), (2, 31))
    ]
    layer = BandNormalization()
    layer.adapt(iter(batches))
    everything = np.concatenate([batch.reshape(-1, 6) for batch in batches]).astype(np.float64)
    np.testing.assert_allclose(layer.mean[:, 0], everything.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.std[:, 0], everything.std(axis=0), rtol=1e-5)
    normalized = np.concatenate([layer(batch).numpy().reshape(-1, 6) for batch in batches])
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axis=0), 1, atol=1e-5)
    assert not layer.trainable_variables


def test_band_normalization_is_finite_on_a_constant_band():
    layer = BandNormalization()
    layer.adapt([np.zeros((1, 10, 3, 1), "float32")])
    assert np.isfinite(layer(np.ones((1, 2, 3, 1), "float32"))).all()


def test_band_normalization_needs_a_batch():
    with pytest.raises(ValueError, match="at least one batch"):
        BandNormalization().adapt([])
