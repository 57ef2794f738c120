"""What an audio branch starts from, inside the graph: log-mel, or the patches of an encoder.

The log-mel is the authors' recipe, made of Kapre layers.
"""

import dataclasses
import itertools

import kapre
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from mmat.files import InputError
from mmat.models.masking import mask_padding

# Under any precision policy the decibels are float32. The transform is float64: 80 dB of magnitude
# below a pure tone lies under the rounding noise of a float32 transform.
FLOAT32, FLOAT64 = "float32", "float64"


@dataclasses.dataclass(frozen=True)
class MelParameters:
    """How a waveform becomes a log-mel spectrogram; the defaults are the authors' (their code).

    The decibels are 10·log10 of the magnitude, as in the authors' code and in Kapre.
    """

    sample_rate_hz: int = 16_000
    fft_samples: int = 4096
    window_samples: int = 1024
    hop_samples: int = 400
    mel_bands: int = 64
    mel_min_hz: float = 0.0
    mel_max_hz: float = 8000.0
    amplitude_floor: float = 1e-10
    dynamic_range_db: float = 80.0

    @property
    def hop_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_samples / self.sample_rate_hz


SPEECH_MEL = MelParameters(fft_samples=512, window_samples=400, hop_samples=160)  # 25 ms, 10 ms


def log_mel(waveform, parameters: MelParameters = MelParameters(), n_samples=None):
    """Turn a waveform `(batch, samples, 1)` into decibels `(batch, frames, mel_bands, 1)`.

    A functional piece of a graph: give it a Keras tensor, or an array to compute it at once.
    There are `ceil(samples / hop_samples)` frames, frame i centred on sample `i·hop_samples`;
    the values lie within `dynamic_range_db` of the clip's maximum. Equal to librosa's
    `melspectrogram(power=1, center=True, pad_mode="constant")` in `amplitude`-decibels/2.

    n_samples: int32 `(batch,)`, the clips' own lengths where they are padded to a common one. A
    clip's own frames are then what they are without the padding; those beyond mean nothing.

    >>> log_mel(np.zeros((1, 16000, 1), "float32")).shape
    TensorShape([1, 40, 64, 1])
    """
    p = parameters
    half_window = p.window_samples // 2
    x = mask_padding(waveform, n_samples, samples_per_step=1)
    x = layers.ZeroPadding1D(half_window, dtype=FLOAT64)(x)
    x = kapre.STFT(
        n_fft=p.fft_samples,
        win_length=p.window_samples,
        hop_length=p.hop_samples,
        input_data_format="channels_last",
        output_data_format="channels_last",
        dtype=FLOAT64,
    )(x)  # (batch, 1 + samples // hop_samples, fft_samples / 2 + 1, 1)
    x = Magnitude(dtype=FLOAT32)(x)
    x = kapre.ApplyFilterbank(
        type="mel",
        filterbank_kwargs={
            "sample_rate": p.sample_rate_hz,
            "n_freq": p.fft_samples // 2 + 1,
            "n_mels": p.mel_bands,
            "f_min": p.mel_min_hz,
            "f_max": p.mel_max_hz,
            "htk": False,
            "norm": "slaney",
        },
        data_format="channels_last",
        dtype=FLOAT32,
    )(x)  # (batch, frames, mel_bands, 1)
    if n_samples is not None:
        # The range depends on the clip's maximum, for which one frame more counts if it fits.
        x = mask_padding(x, n_samples + 1, p.hop_samples)
    x = kapre.MagnitudeToDecibel(
        amin=p.amplitude_floor, dynamic_range=p.dynamic_range_db, dtype=FLOAT32
    )(x)
    return KeepFrames(p.hop_samples, dtype=FLOAT32)([x, waveform])


@keras.saving.register_keras_serializable(package="mmat")
class Magnitude(layers.Layer):
    """Return the magnitude of complex numbers of any shape, float32.

    Kapre's layer does the same by TensorFlow's `abs`, which guards against an overflow that no
    spectrum comes near, and takes four times as long.

    >>> Magnitude()(np.array([3 + 4j, -1j])).numpy()
    array([5., 1.], dtype=float32)
    """

    def call(self, spectrum):
        spectrum = tf.cast(spectrum, tf.complex64)
        power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
        # The root's slope at 0 is infinite, and the gradient of silence should be finite.
        return tf.sqrt(tf.maximum(power, np.finfo(np.float32).tiny))

    def compute_output_spec(self, spectrum):
        return keras.KerasTensor(spectrum.shape, FLOAT32)


@keras.saving.register_keras_serializable(package="mmat")
class Float32Mel(layers.Layer):
    """Mel magnitudes of a short-time Fourier transform, all in float32.

    Input: waveforms `(batch, samples, 1)`, padded already. Output: float32 `(batch, frames,
    mel_bands, 1)`, frame i from sample `i·hop_samples` on, under a Hann window. In decibels
    (10·log10 of the magnitude) they are within 0.1 dB of the float64 ones down to 35 dB under the
    peak of a pure tone; what lies more than 55 dB under it is rounding noise. No gradient goes
    through to the waveform.

    filterbank: the keywords of `kapre.backend.filterbank_mel`; as an array it is `bank`,
    `(frequencies, mel_bands)`.

    >>> bank = {"sample_rate": 16000, "n_freq": 257, "n_mels": 8}
    >>> Float32Mel(512, 400, 160, bank)(np.zeros((1, 720, 1), "float32")).shape
    TensorShape([1, 3, 8, 1])
    """

    def __init__(
        self, fft_samples: int, window_samples: int, hop_samples: int, filterbank: dict, **kwargs
    ):
        super().__init__(**kwargs | {"dtype": FLOAT32})
        self.fft_samples = fft_samples
        self.window_samples = window_samples
        self.hop_samples = hop_samples
        self.filterbank = filterbank
        self.bank = np.asarray(kapre.backend.filterbank_mel(**filterbank), FLOAT32)
        self._blocks = _blocks(self.bank)

    def call(self, waveform):
        spectrum = self.spectrum(tf.reshape(waveform, tf.shape(waveform)[:2]))
        # |X|² + 0i in one operation, and in the memory of X; only its real parts are read.
        power = tf.bitcast(tf.math.squared_difference(spectrum, np.complex64(0)), tf.float32)
        mel = [
            tf.pad(tf.tensordot(tf.sqrt(power[:, :, first:last, 0]), weights, 1), bands)
            for first, last, weights, bands in self._blocks
        ]
        return tf.stop_gradient(tf.add_n(mel)[..., tf.newaxis])

    def spectrum(self, samples):
        """Return the complex64 spectrum of samples `(…, samples)`: `(…, frames, frequencies)`."""
        window = np.hanning(self.window_samples + 1)[:-1].astype(FLOAT32)  # periodic
        frames = tf.signal.frame(samples, self.window_samples, self.hop_samples) * window
        return tf.signal.rfft(frames, [self.fft_samples])

    def compute_output_shape(self, input_shape):
        batch, samples, _ = input_shape
        frames = samples and 1 + (samples - self.window_samples) // self.hop_samples
        return (batch, frames, self.filterbank["n_mels"], 1)

    def get_config(self):
        return super().get_config() | {
            "fft_samples": self.fft_samples,
            "window_samples": self.window_samples,
            "hop_samples": self.hop_samples,
            "filterbank": self.filterbank,
        }


def _blocks(bank: np.ndarray) -> list:
    """Split a bank `(frequencies, bands)`: first and last frequency, weights, bands around them.

    Low bands read few frequencies and high ones many, so that most of the whole product is with 0.
    """
    n_frequencies, n_bands = bank.shape
    edges = np.int64(n_frequencies * np.linspace(0, 1, 6) ** 1.5)
    blocks = []
    for first, last in itertools.pairwise(edges.tolist()):
        read = np.flatnonzero(bank[first:last].any(axis=0))
        if len(read):
            low, high = read[0], read[-1] + 1
            bands = [[0, 0], [0, 0], [low, n_bands - high]]
            blocks.append((first, last, bank[first:last, low:high], bands))
    return blocks


def with_float32_mel(model: keras.Model) -> keras.Model:
    """Return a model that computes its log-mel in float32, of the same weights and layers.

    For places without Kapre's transform in float64, and where speed counts more than what is quiet:
    `Float32Mel` says how near it comes. A model without a log-mel of Kapre's comes back as it is.

    >>> from mmat.models.audio import audio_branch
    >>> branch = audio_branch(2)
    >>> given = {"waveform": np.random.default_rng(0).normal(0, 0.1, (1, 8000, 1))}
    >>> bool(np.allclose(branch(given)["clip"], with_float32_mel(branch)(given)["clip"], atol=1e-5))
    True
    """
    own = {type(layer): layer for layer in model._flatten_layers()}
    if kapre.STFT not in own:
        return model
    bank = own[kapre.ApplyFilterbank].filterbank_kwargs

    def quick(layer):
        if isinstance(layer, kapre.STFT):
            return Float32Mel(layer.n_fft, layer.win_length, layer.hop_length, bank)
        if isinstance(layer, Magnitude | kapre.ApplyFilterbank):
            return layers.Identity(dtype=FLOAT32)
        if isinstance(layer, layers.ZeroPadding1D):
            return layers.ZeroPadding1D(layer.padding, dtype=FLOAT32)
        return layer

    return keras.models.clone_model(model, clone_function=quick, recursive=True)


@keras.saving.register_keras_serializable(package="mmat")
class KeepFrames(layers.Layer):
    """Cut a padded spectrogram to the frames that start inside the waveform.

    Inputs: `[(batch, more_frames, …), (batch, samples, 1)]`; output `(batch,
    ceil(samples / hop_samples), …)`, so that frames follow from the length alone.

    >>> KeepFrames(400)([np.zeros((1, 50, 3)), np.zeros((1, 16000, 1))]).shape
    TensorShape([1, 40, 3])
    """

    def __init__(self, hop_samples: int, **kwargs):
        super().__init__(**kwargs)
        self.hop_samples = hop_samples

    def call(self, inputs):
        spectrogram, waveform = inputs
        return spectrogram[:, : -(-ops.shape(waveform)[1] // self.hop_samples)]

    def compute_output_shape(self, input_shapes):
        (batch, _, *rest), (_, samples, _) = input_shapes
        return (batch, samples and -(-samples // self.hop_samples), *rest)

    def get_config(self):
        return super().get_config() | {"hop_samples": self.hop_samples}


@keras.saving.register_keras_serializable(package="mmat")
class PatchesToFrames(layers.Layer):
    """Bring an encoder's patches to shorter frames, linearly between the patches' centres.

    Inputs: `[patches (batch, patches, size), waveform (batch, samples, 1)]`, and where clips are
    padded their own lengths `n_samples (batch,)`. Output: float32 `(batch,
    ceil(samples / hop_samples), size)`. Frame i is about the samples from `i · hop_samples` on;
    before the first patch's centre and behind the last's that patch holds.

    hop_samples: of a frame; patch_hop_samples, patch_window_samples: of a patch.

    >>> layer = PatchesToFrames(patch_hop_samples=4, patch_window_samples=4, hop_samples=2)
    >>> layer([ops.array([[[0.0], [1.0]]]), ops.zeros((1, 8, 1))]).numpy().ravel().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """

    def __init__(
        self, patch_hop_samples: int, patch_window_samples: int, hop_samples: int, **kwargs
    ):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.patch_hop_samples = patch_hop_samples
        self.patch_window_samples = patch_window_samples
        self.hop_samples = hop_samples

    def call(self, inputs):
        patches, waveform, *n_samples = inputs
        n_patches = ops.shape(patches)[1]
        last = ops.reshape(n_patches - 1, (1, 1))
        if n_samples:  # what lies behind a clip's own last patch is ignored
            beyond = ops.cast(n_samples[0], "int32")[:, None] - self.patch_window_samples
            last = -(-ops.maximum(beyond, 0) // self.patch_hop_samples)
        n_frames = -(-ops.shape(waveform)[1] // self.hop_samples)
        frames = ops.cast(ops.arange(n_frames, dtype="int32"), "float32")
        centres = (frames + 0.5) * self.hop_samples
        places = (centres - self.patch_window_samples / 2) / self.patch_hop_samples
        # (batch or 1, frames)
        places = ops.minimum(ops.maximum(places[None], 0.0), ops.cast(last, "float32"))
        others = ops.cast(ops.arange(n_patches, dtype="int32"), "float32")
        shares = ops.maximum(1.0 - ops.abs(places[:, :, None] - others), 0.0)
        return ops.matmul(shares, patches)

    def compute_output_shape(self, input_shapes):
        (batch, _, size), (_, samples, _), *_ = input_shapes
        return (batch, samples and -(-samples // self.hop_samples), size)

    def get_config(self):
        return super().get_config() | {
            "patch_hop_samples": self.patch_hop_samples,
            "patch_window_samples": self.patch_window_samples,
            "hop_samples": self.hop_samples,
        }


@keras.saving.register_keras_serializable(package="mmat")
class BandNormalization(layers.Layer):
    """Subtract each mel band's mean and divide by its standard deviation over the training set.

    `(batch, frames, mel_bands, 1)` to the same shape, float32. `adapt` learns both from batches of
    decibels; they are weights that training leaves alone. Raises InputError at the first training
    step of a model for which neither was learnt.

    >>> layer = BandNormalization()
    >>> layer.adapt([np.random.default_rng(0).normal(5, 2, (8, 100, 4, 1))])
    >>> bool(abs(float(layer(np.full((1, 1, 4, 1), 5.0, "float32"))[0, 0, 0, 0])) < 0.3)
    True
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": FLOAT32})

    def build(self, input_shape):
        shape = (input_shape[-2], 1)
        kwargs = {"shape": shape, "trainable": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **kwargs)
        self.std = self.add_weight(name="deviation", initializer="ones", **kwargs)

    def call(self, decibels, training=False):
        if training:
            self._check_adapted()
        return (decibels - self.mean) / self.std

    def compute_output_shape(self, input_shape):
        return input_shape

    def _check_adapted(self) -> None:
        """Look at the weights while a training step is traced; the step itself stays as it is."""
        with tf.init_scope():
            if not tf.executing_eagerly():
                return
            mean, std = (np.asarray(x) for x in (self.mean, self.std))
        if not mean.any() and (std == 1).all():
            raise InputError(
                "the mean and the std of the bands were never learnt, so the model would train on "
                "decibels as they are; build it with audio_branch(labels, adapt=batches), or call "
                "adapt_normalization(model, batches) before training"
            )

    def adapt(self, batches) -> None:
        """Learn mean and std from an iterable of arrays `(batch, frames, mel_bands, 1)`.

        Raises ValueError when there is no batch.
        """
        count, total, squares = 0, 0.0, 0.0
        for batch in batches:
            values = np.asarray(batch, np.float64)[..., 0].reshape(-1, batch.shape[-2])
            count += len(values)
            total = total + values.sum(axis=0)
            squares = squares + np.square(values).sum(axis=0)
        if not count:
            raise ValueError("adapt needs at least one batch of decibels")
        if not self.built:
            self.build((None, None, len(total), 1))
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - np.square(mean), 1e-6))
        self.mean.assign(mean[:, None])
        self.std.assign(std[:, None])
