"""Audio files decoded inside the tf.data graph, by tensorflow-io's operations.

They are slower than worker processes with libsndfile (docs/performance.md), but run wherever the
graph runs. The decoders do not return the sample rate (the one operation that does mixes up files
when it runs in parallel) and their resampling is off by 1 %: so the headers are read here, and the
resampling is soxr's, as filters. The FLAC decoder may never return from a damaged file, and nothing
here can end it: use it for files that the default reader has read.
"""

import functools
import math
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import soxr
import tensorflow as tf

from mmat.files import InputError, one_line
from mmat.media.read import SAMPLE_RATE_HZ, check_finite, readable_path
from mmat.media.workers import decode

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3")
RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400)
RATES_HZ += (192000,)
_HEAD_BYTES = 8192
_REACH = 110  # a filter's reach to each side, in samples of the lower rate
_LEAST_BLOCK = 384  # input samples that are filtered by one matrix row, at least
_MP3_RATES_HZ = ((11025, 12000, 8000), (0, 0, 0), (22050, 24000, 16000), (44100, 48000, 32000))
_HELP = "use reader='default', or install the extra: pip install 'mmat[tfio]' (TensorFlow 2.17.1)"


def audio_files(
    paths: Sequence[str | os.PathLike], reader: str = "default", workers: int = 2
) -> tf.data.Dataset:
    """Return the sound of audio files, one by one in their order, float32 (samples, 1), 16 kHz.

    reader: "default" decodes any media file in `workers` processes; "tfio" decodes wav, flac, ogg
    (Vorbis) and mp3 inside the graph. The two agree within 1e-5, without a delay. A file that
    cannot be read ends the data with a tf.errors.OpError.
    Raises InputError for another reader, and as `check_readable` does.

    >>> import soundfile, tempfile
    >>> path = tempfile.mkdtemp() + "/silence.wav"
    >>> soundfile.write(path, np.zeros((44100, 2)), 44100)
    >>> [sound.shape for sound in audio_files([path], workers=0).as_numpy_iterator()]
    [(16000, 1)]
    """
    names = [os.fspath(path) for path in paths]
    if reader == "tfio":
        for name in names:
            check_readable(name)
        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(names, tf.string))
        return dataset.map(read_waveform, num_parallel_calls=tf.data.AUTOTUNE)
    if reader != "default":
        raise InputError(f"unknown reader {reader!r}; there are 'default' and 'tfio'")

    def decoded():
        for media in decode(({"path": name, "n_frames": 0} for name in names), workers):
            if isinstance(media, str):
                raise InputError(media)
            yield media.waveform[:, None]

    spec = tf.TensorSpec((None, 1), tf.float32)
    return tf.data.Dataset.from_generator(decoded, output_signature=spec)


def read_audio_file(
    path: str | os.PathLike, start_seconds: float | None = None, end_seconds: float | None = None
) -> np.ndarray:
    """Return what `mmat.media.read.read_audio` does, read by `read_waveform`, eagerly.

    Raises InputError as `read_audio` and `check_readable` do.
    """
    readable_path(path)
    check_readable(path)
    try:
        sound = read_waveform(
            tf.constant(os.fspath(path)),
            start_seconds or 0.0,
            math.inf if end_seconds is None else end_seconds,
        )
    except (tf.errors.OpError, UnicodeDecodeError) as error:  # the latter for bytes in a message
        raise InputError(f"{path}: tensorflow-io cannot decode it ({one_line(error)})") from None
    waveform = sound.numpy()[:, 0]
    if not len(waveform):
        raise InputError(f"{path}: no sound from {start_seconds or 0:g} s on")
    check_finite(path, waveform)
    return waveform


def read_waveform(
    path: tf.Tensor, start_seconds: float = 0.0, end_seconds: float = math.inf
) -> tf.Tensor:
    """Return the sound of a wav, flac, ogg (Vorbis) or mp3 file, or a range, inside the graph.

    path: string (). Gives float32 (samples, 1), 16 kHz, the channels' mean. What cannot be
    decoded is a tf.errors.OpError; so is a rate that is not among `RATES_HZ`.
    """
    content = tf.io.read_file(path)
    magic = tf.strings.substr(content, 0, 4)
    samples, rate = tf.case(
        [
            (magic == b"RIFF", lambda: _wav(content)),
            (magic == b"fLaC", lambda: _flac(content)),
            (magic == b"OggS", lambda: _vorbis(content)),
        ],
        default=lambda: _mp3(content),
    )
    first, last = (
        _place(seconds, rate, tf.shape(samples)[0]) for seconds in (start_seconds, end_seconds)
    )
    sound = resampled(tf.reduce_mean(samples[first:last], axis=1), rate)
    return tf.clip_by_value(sound, -1.0, 1.0)[:, None]


def check_readable(path: str | os.PathLike) -> None:
    """Raise InputError for a suffix that tensorflow-io does not decode, or if it does not load."""
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: reader 'tfio' reads {known}; use reader='default'")
    operations()


def operations():
    """Return `tensorflow_io.audio`; raise InputError where its operations don't load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they do not load is reported below
        try:
            import tensorflow_io

            tensorflow_io.audio.encode_wav(tf.zeros((1, 1), tf.int16), tf.constant(8000, tf.int64))
        except ImportError:
            raise InputError(f"reader 'tfio': tensorflow-io is not installed; {_HELP}") from None
        except NotImplementedError:
            why = f"tensorflow-io's operations don't load with TensorFlow {tf.__version__}"
            raise InputError(f"reader 'tfio': {why}; {_HELP}") from None
    return tensorflow_io.audio


def resampled(samples: tf.Tensor, rate_hz: tf.Tensor) -> tf.Tensor:
    """Return float32 (samples,) at 16 kHz of such a sound at one of `RATES_HZ`, as soxr does it."""
    known = tf.reduce_any(rate_hz == list(RATES_HZ))
    message = f"the sample rate is none of {', '.join(map(str, RATES_HZ))} Hz"
    with tf.control_dependencies([tf.debugging.Assert(known, [message, rate_hz])]):
        samples = tf.identity(samples)
    branches = [(rate_hz == rate, _filtering(samples, rate)) for rate in RATES_HZ]
    return tf.case(branches, default=lambda: samples)


@functools.cache
def resampling_filters(rate_hz: int) -> tuple[np.ndarray, int, int]:
    """Return soxr's resampling from a rate to 16 kHz as filters: (filters, n_before, n_in).

    Every block of n_in input samples gives filters.shape[1] output samples; they are the block,
    with n_before samples before it and as many behind it, times filters, float32. Source: soxr's
    impulse responses.
    """
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    repeat = -(-_LEAST_BLOCK // (rate_hz // common))
    n_in, n_out = repeat * rate_hz // common, repeat * SAMPLE_RATE_HZ // common
    reach = math.ceil(_REACH * rate_hz / min(rate_hz, SAMPLE_RATE_HZ))
    n_blocks = -(-reach // n_in)  # that an impulse reaches to each side
    n_before = n_blocks * n_in
    impulses = np.pad(np.eye(n_in, dtype=np.float32), [[n_before, n_before], [0, 0]])
    responses = soxr.resample(impulses, rate_hz, SAMPLE_RATE_HZ)  # one channel an impulse
    responses = responses.reshape(-1, n_out, n_in)[::-1]  # the last ones are of samples before
    return responses.transpose(0, 2, 1).reshape(-1, n_out), n_before, n_in


def _place(seconds: float, rate_hz: tf.Tensor, n_samples: tf.Tensor) -> tf.Tensor:
    place = tf.round(tf.constant(seconds, tf.float64) * tf.cast(rate_hz, tf.float64))
    return tf.cast(tf.minimum(place, tf.cast(n_samples, tf.float64)), tf.int32)


def _wav(content):
    # The format is in a chunk that need not be the first.
    head = _bytes(content, 0)
    marks = tf.stack([head[i : _HEAD_BYTES + i] for i in range(4)])
    is_format = tf.reduce_all(marks == [[byte] for byte in b"fmt "], axis=0)
    fields = head[tf.argmax(is_format, output_type=tf.int32) + 8 :]
    tag, bits = _little_endian(fields, 0, 2), _little_endian(fields, 14, 2)
    tag = tf.where(tag == 0xFFFE, _little_endian(fields, 24, 2), tag)  # "extensible"
    decode = functools.partial(operations().decode_wav, content)

    def whole_32_bits():  # decoded as if they were floating-point numbers
        return tf.cast(tf.bitcast(decode(dtype=tf.float32), tf.int32), tf.float32) * 2.0**-31

    samples = tf.case(
        [
            (bits == 8, lambda: tf.cast(decode(dtype=tf.uint8), tf.float32) / 128 - 1),
            (bits == 16, lambda: tf.cast(decode(dtype=tf.int16), tf.float32) * 2.0**-15),
            (bits == 24, lambda: tf.cast(decode(dtype=tf.int32), tf.float32) * 2.0**-31),
            (tf.logical_and(bits == 32, tag == 1), whole_32_bits),
        ],
        default=lambda: decode(dtype=tf.float32),
    )
    return samples, _little_endian(fields, 4, 4)


def _flac(content):
    head = _bytes(content, 0)
    rate = head[18] * 4096 + head[19] * 16 + head[20] // 16
    bits = (head[20] % 2) * 16 + head[21] // 16 + 1
    decode = functools.partial(operations().decode_flac, content)
    samples = tf.case(
        [
            (bits == 8, lambda: tf.cast(decode(dtype=tf.uint8), tf.float32) / 128 - 1),
            (bits == 16, lambda: tf.cast(decode(dtype=tf.int16), tf.float32) * 2.0**-15),
        ],
        default=lambda: tf.cast(decode(dtype=tf.int32), tf.float32) * 2.0**-31,
    )
    return samples, rate


def _vorbis(content):
    return operations().decode_vorbis(content), _little_endian(_bytes(content, 0), 40, 4)


def _mp3(content):
    head = _bytes(content, 0)
    size = head[6] * 2**21 + head[7] * 2**14 + head[8] * 2**7 + head[9] + 10
    tagged = tf.reduce_all(head[:3] == list(b"ID3"))
    head = _bytes(content, tf.where(tagged, size, 0))
    first, second, third = (head[i : _HEAD_BYTES + i] for i in range(3))
    version, layer, rate_code = second // 8 % 4, second // 2 % 4, third // 4 % 4
    valid = (first == 255) & (second >= 224) & (version != 1) & (layer != 0)
    valid &= (third // 16 < 15) & (rate_code < 3)
    frame = tf.argmax(valid, output_type=tf.int32)
    rate = tf.constant(_MP3_RATES_HZ)[version[frame], tf.minimum(rate_code[frame], 2)]
    message = "neither RIFF, FLAC, Ogg nor MP3"  # the decoder would search for half a minute
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_any(valid), [message])]):
        content = tf.identity(content)
    return operations().decode_mp3(content), rate


def _bytes(content, position) -> tf.Tensor:
    """Return int32 (_HEAD_BYTES + 64,) from a position on; beyond the end are zeros."""
    length = tf.strings.length(content)
    part = tf.strings.substr(content, tf.minimum(position, length), _HEAD_BYTES)
    values = tf.cast(tf.io.decode_raw(part, tf.uint8), tf.int32)
    return tf.pad(values, [[0, _HEAD_BYTES + 64 - tf.size(values)]])


def _little_endian(values, offset: int, n_bytes: int) -> tf.Tensor:
    return tf.add_n([values[offset + i] * 256**i for i in range(n_bytes)])


def _filtering(samples: tf.Tensor, rate_hz: int) -> Callable:
    def filtered():
        if rate_hz == SAMPLE_RATE_HZ:
            return samples
        filters, n_before, n_in = resampling_filters(rate_hz)
        n_samples = tf.size(samples)
        n_blocks = -(-n_samples // n_in)
        after = n_blocks * n_in - n_samples + len(filters) - n_before - n_in
        rows = tf.signal.frame(tf.pad(samples, [[n_before, after]]), len(filters), n_in)
        n_out = tf.cast(tf.floor(n_samples / rate_hz * SAMPLE_RATE_HZ + 0.5), tf.int32)
        return tf.reshape(rows @ filters, [-1])[:n_out]

    return filtered
