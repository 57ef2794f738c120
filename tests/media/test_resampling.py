"""Resampling in blocks and by filters, held against soxr on the whole sound."""

import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.read import resampled
from mmat.media.tfio import resampling_filters

RATES = (8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from((*RATES, 1000, 44099, 768_000)),
    lengths=st.lists(st.integers(0, 40_000), max_size=6),
    seed=st.integers(0, 9),
)
def test_blocks_give_what_the_whole_gives(rate, lengths, seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.uniform(-1, 1, n).astype(np.float32) for n in lengths]
    whole = np.concatenate([np.zeros(rate, np.float32), *blocks])
    expected = soxr.resample(whole, rate, 16000)[16000:]
    got = resampled(blocks, rate)
    assert got.dtype == np.float32 and got.shape == expected.shape
    assert np.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_filters_do_what_soxr_does(rate):
    sound = np.random.default_rng(0).uniform(-1, 1, rate // 3).astype(np.float32)
    filters, n_before, n_in = resampling_filters(rate)
    n_blocks = -(-len(sound) // n_in)
    padded = np.pad(sound, (n_before, n_blocks * n_in + len(filters) - len(sound)))
    rows = [padded[i * n_in : i * n_in + len(filters)] for i in range(n_blocks)]
    expected = resampled([sound], rate)
    assert np.abs((np.stack(rows) @ filters).ravel()[: len(expected)] - expected).max() < 1e-5


def test_a_sound_without_end_is_refused_in_time():
    drawn = []
    blocks = (drawn.append(1) or np.zeros(50_000, np.float32) for _ in itertools.count())
    with pytest.raises(InputError, match="longer than 0.01 hours; read a range of it"):
        resampled(blocks, 44100, longest_seconds=36.0)
    assert len(drawn) < 40


@pytest.mark.parametrize("rate", [0, 999, 800_000])
def test_a_rate_of_no_sound_is_refused(rate):
    with pytest.raises(InputError, match=f"sample rate of {rate} Hz"):
        resampled([np.zeros(10, np.float32)], rate)
