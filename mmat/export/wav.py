"""A WAV file's bytes become a waveform inside the graph, by core TensorFlow ops alone."""

import tensorflow as tf

from mmat.media.read import SAMPLE_RATE_HZ

PCM, EXTENSIBLE = 1, 0xFFFE
RIFF_HEADER, CHUNK_HEADER, PLAIN_FORMAT, EXTENSIBLE_FORMAT = 12, 8, 16, 26
UNKNOWN_SIZES = (0xFFFFFFFF, 0)  # of what came through a pipe, and of a recorder that crashed
MOST_CHUNKS = 1000  # to look at, so that the work is bounded by more than the number of bytes
LARGEST_INT16 = 32768.0


def decode_wav(wav):
    """Turn the bytes of a WAV file, a string scalar, into a waveform float32 `(1, samples, 1)`.

    16-bit PCM at 16 kHz of any number of channels, which are averaged; plain or extensible form,
    chunks of other kinds are passed over, up to 1000. Data of unknown size last to the file's end,
    as for FFmpeg. Anything else fails with `tf.errors.InvalidArgumentError`
    whose text has a sentence that begins with `tag_wav:`.

    Format: "Multimedia Programming Interface and Data Specifications 1.0" (1991), and Microsoft's
    WAVEFORMATEXTENSIBLE.

    >>> import io, soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, [[0.5, 0.0], [-0.5, -0.25]], 16000, format="WAV", subtype="PCM_16")
    >>> decode_wav(tf.constant(file.getvalue())).numpy().ravel().tolist()
    [0.25, -0.375]
    """
    size = tf.strings.length(wav)
    # With zeros behind it, reading what a damaged file lacks gives 0 and no error of its own.
    padded = tf.strings.join([wav, tf.constant(bytes(CHUNK_HEADER + EXTENSIBLE_FORMAT))])
    format_at, format_size, data_at, data_size = _find_chunks(padded, size)
    encoding = _number(padded, format_at, tf.uint16)
    extensible = (encoding == EXTENSIBLE) & (format_size >= EXTENSIBLE_FORMAT)
    encoding = tf.where(extensible, _number(padded, format_at + 24, tf.uint16), encoding)
    channels = _number(padded, format_at + 2, tf.uint16)
    rate_hz = _number(padded, format_at + 4, tf.uint32)
    bits = _number(padded, format_at + 14, tf.uint16)
    here = tf.cast(size, tf.int64) - data_at
    is_unknown = tf.reduce_any(data_size == tf.constant(UNKNOWN_SIZES, tf.int64))
    data_size = tf.where(is_unknown, here, data_size)
    bytes_a_step = 2 * channels
    n_samples = data_size // tf.maximum(bytes_a_step, 1)

    text = tf.strings.as_string
    riff = tf.strings.substr(padded, 0, 4) + tf.strings.substr(padded, 8, 4) == b"RIFFWAVE"
    problems = [
        (~riff, "no RIFF/WAVE file"),
        (format_at < 0, "there is no format in its header"),
        (format_size < PLAIN_FORMAT, "the header is cut off within the format"),
        ((encoding != PCM) | (bits != 16), text(bits) + " bits of encoding " + text(encoding)),
        (rate_hz != SAMPLE_RATE_HZ, text(rate_hz) + " Hz"),
        (channels < 1, "no channels"),
        (data_at < 0, "there is no data behind the header"),
        (here < data_size, "cut off: " + text(here) + " of " + text(data_size) + " data bytes"),
        (n_samples < 1, "no samples"),
    ]
    problem = tf.constant("")
    for wrong, sentence in reversed(problems):
        problem = tf.where(wrong, sentence, problem)
    needed = f", where a WAV of 16-bit PCM (encoding 1) at {SAMPLE_RATE_HZ} Hz is needed"
    sentence = tf.strings.join(["tag_wav: ", problem, needed])
    with tf.control_dependencies([tf.debugging.Assert(problem == "", [sentence])]):
        data = tf.strings.substr(wav, data_at, n_samples * bytes_a_step)
    values = tf.cast(tf.io.decode_raw(data, tf.int16), tf.float32) / LARGEST_INT16
    waveform = tf.reduce_mean(tf.reshape(values, tf.stack([n_samples, channels])), axis=1)
    return waveform[tf.newaxis, :, tf.newaxis]


def _find_chunks(padded, size):
    """Return where format and data begin, -1 where they don't, and how long they say they are."""
    size = tf.cast(size, tf.int64)

    def walk(at, format_at, format_size, data_at, data_size):
        name = tf.strings.substr(padded, at, 4)
        length = _number(padded, at + 4, tf.uint32)
        begin = at + CHUNK_HEADER
        is_format, is_data = name == b"fmt ", name == b"data"
        own = tf.minimum(length, size - begin)
        behind = tf.minimum(begin + length + length % 2, size)  # chunks begin at even places
        return (
            behind,
            tf.where(is_format, begin, format_at),
            tf.where(is_format, own, format_size),
            tf.where(is_data, begin, data_at),
            tf.where(is_data, length, data_size),
        )

    def more(at, format_at, format_size, data_at, data_size):
        return (at + CHUNK_HEADER <= size) & (data_at < 0)

    nothing = tf.constant(-1, tf.int64)
    begin = (tf.constant(RIFF_HEADER, tf.int64), nothing, nothing, nothing, nothing)
    return tf.while_loop(more, walk, begin, maximum_iterations=MOST_CHUNKS)[1:]


def _number(padded, at, kind: tf.DType):
    """Return the little-endian number at a place, int64; 0 where the place is -1."""
    bytes_ = tf.strings.substr(padded, tf.maximum(at, 0), kind.size)
    value = tf.cast(tf.io.decode_raw(bytes_, tf.uint8), tf.int64)
    value = tf.reduce_sum(value * tf.constant([256**i for i in range(kind.size)], tf.int64))
    return tf.where(at < 0, tf.constant(0, tf.int64), value)
