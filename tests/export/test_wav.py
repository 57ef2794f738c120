"""The WAV reader inside the graph."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.wavs import decode, samples, wav

GOOD = wav(samples())


def refusal(contents: bytes) -> str:
    """The sentence with which a WAV is refused."""
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        decode(contents)
    return str(refused.value).split("[tag_wav: ")[1].split("]")[0]


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 300),
    channels=st.integers(1, 8),
    form=st.sampled_from(["WAV", "WAVEX"]),
    chunk=st.binary(max_size=9),
    trailing=st.binary(max_size=9),
)
def test_a_wav_is_the_mean_of_its_channels(n, channels, form, chunk, trailing):
    written = samples(n, channels)
    plain = wav(written, form=form)
    odd = b"\0" * (len(chunk) % 2)
    extra = b"LIST" + struct.pack("<I", len(chunk)) + chunk + odd
    waveform = decode(plain[:12] + extra + plain[12:] + trailing).numpy()
    assert waveform.shape == (1, n, 1) and waveform.dtype == np.float32
    expected = written.astype(np.float64).mean(axis=1) / 2**15
    np.testing.assert_allclose(waveform[0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [b"\xff" * 4, b"\0" * 4], ids=["pipe", "crashed"])
def test_a_wav_of_unknown_size_lasts_to_its_end(size):
    endless = GOOD[:40] + size + GOOD[44:]
    np.testing.assert_array_equal(decode(endless), decode(GOOD))


def chunks(n: int) -> bytes:
    """So many chunks of nothing."""
    return (b"none" + bytes(4)) * n


def test_more_chunks_than_anybody_writes_end_the_search():
    np.testing.assert_array_equal(decode(GOOD[:12] + chunks(900) + GOOD[12:]), decode(GOOD))
    assert "there is no format" in refusal(GOOD[:12] + chunks(1000) + GOOD[12:])


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (b"", "no RIFF/WAVE file"),
        (wav(samples() / 2**15, form="FLAC"), "no RIFF/WAVE file"),
        (wav(samples(), form="RF64"), "no RIFF/WAVE file"),
        (b"RIFX" + GOOD[4:], "no RIFF/WAVE file"),
        (GOOD[:12], "there is no format"),
        (GOOD[:30], "cut off within the format"),
        (GOOD[:36], "there is no data"),
        (GOOD[:100], "cut off: 56 of 200 data bytes"),
        (wav(samples(0)), "no samples"),
        (GOOD[:22] + b"\0\0" + GOOD[24:], "no channels"),
        (wav(samples(), rate_hz=44100), "44100 Hz"),
        (wav(samples(), subtype="PCM_24"), "24 bits of encoding 1"),
        (wav(samples() / 2**15, subtype="FLOAT"), "32 bits of encoding 3"),
        (wav(samples(), subtype="ULAW"), "8 bits of encoding 7"),
    ],
)
def test_other_bytes_are_refused_in_words(contents, sentence):
    text = refusal(contents)
    assert sentence in text and text.endswith(
        "a WAV of 16-bit PCM (encoding 1) at 16000 Hz is needed"
    )


@settings(max_examples=60, deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from([4, 16, 20, 22, 24, 28, 32, 34, 36, 40]),  # where the header's numbers are
        st.sampled_from([0, 1, 2, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1]),
        max_size=3,
    )
)
def test_numbers_at_their_ends_are_decoded_or_refused_in_words(fields):
    odd = bytearray(GOOD)
    for at, number in fields.items():
        odd[at : at + 4] = struct.pack("<I", number)
    try:
        waveform = decode(bytes(odd)).numpy()
    except tf.errors.InvalidArgumentError:
        assert refusal(bytes(odd))
    else:
        assert 0 < waveform.size <= 100 and np.isfinite(waveform).all()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(GOOD)), at=st.integers(0, 47), byte=st.integers(0, 255))
def test_damaged_bytes_are_decoded_or_refused_in_words(cut, at, byte):
    damaged = (GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])[:cut]
    try:
        waveform = decode(damaged).numpy()
    except tf.errors.InvalidArgumentError:
        assert refusal(damaged)
    else:
        assert waveform.size and np.isfinite(waveform).all()
