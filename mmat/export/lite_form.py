"""The form of a model that LiteRT (TensorFlow Lite) can hold: one clip, built-in operations alone.

The weights stay, layers that have no built-in operations are replaced, and all of it computes in
float32: Kapre's transform, in float64, and frozen audio networks, which take clip after clip.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mmat.export.lite_layers import (
    LiteBidirectional,
    LiteConv2D,
    LiteMaskPadding,
    LiteZeroPadding1D,
)
from mmat.export.lite_mel import mel_magnitudes
from mmat.models.features import Float32Mel, with_float32_mel
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import yamnet
from mmat.pretrained.yamnet import YAMNET, mel_bank, yamnet_network


def lite_form(model: keras.Model, fast_convolutions: bool = True) -> keras.Model:
    """Rebuild a model of any precision in float32 for one clip, with the same weights.

    fast_convolutions: whether large convolutions take Winograd's way, whose kernels are larger.
    Its log-mel is that of `mmat.models.features.with_float32_mel`.

    >>> from mmat.models.audio import audio_branch
    >>> lite = lite_form(audio_branch(2))
    >>> lite({"waveform": tf.zeros((1, 16000, 1))})["frame"].shape
    TensorShape([1, 10, 2])
    """
    forms = _FORMS | {"Conv2D": LiteConv2D} if fast_convolutions else _FORMS
    custom = {kind.__name__: kind for kind in forms.values()}
    config = _in_lite_form(with_float32_mel(model).get_config(), forms)
    rebuilt = keras.Model.from_config(config, custom_objects=custom)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


class LiteMel(Float32Mel):
    """The same on the one clip."""

    def call(self, waveform):
        samples = tf.reshape(waveform, (-1,))
        sizes = self.fft_samples, self.window_samples, self.hop_samples
        return mel_magnitudes(samples, *sizes, self.bank)[tf.newaxis, :, :, tf.newaxis]


class LiteEncoder(HubAudioEncoder):
    """The frozen network on the one clip, whose length is known."""

    def build(self, input_shape):
        super().build(input_shape)
        self._hear = _yamnet_on_one() if self.handle == yamnet.handle else None

    def call(self, waveforms):
        if waveforms.shape[1] is None:
            return super().call(waveforms)
        padded, n_patches = self._padded(waveforms)
        if self._hear is None:
            return {name: x[tf.newaxis, :n_patches] for name, x in self._run(padded[0]).items()}
        heard = self._hear(padded[0])
        return {name: heard[name][tf.newaxis] for name in self._sizes()}


def _yamnet_on_one() -> Callable:
    """Return YAMNet as a function of one waveform `(samples,)`, of whole patches.

    Its weights are constants: those of variables Keras would count among the model's.
    """
    network, bank = yamnet_network(), mel_bank()
    weights = network.get_weights()

    def hear(waveform):
        constants = [tf.constant(each) for each in weights]
        return network.stateless_call(constants, [], yamnet_patches(waveform, bank))[0]

    return hear


def yamnet_patches(waveform, bank: np.ndarray):
    """Return the patches of log-mel `(patches, 96, 64, 1)` that YAMNet looks at.

    waveform: float32 `(samples,)`, of whole patches. bank: `mmat.pretrained.yamnet.mel_bank()`.

    >>> yamnet_patches(tf.zeros(15_600), np.ones((257, 64), np.float32)).shape
    TensorShape([1, 96, 64, 1])
    """
    p = YAMNET
    sizes = p.fft_samples, p.window_samples, p.hop_samples
    mel = tf.math.log(mel_magnitudes(waveform, *sizes, bank) + p.log_offset)  # (frames, 64)
    return tf.signal.frame(mel, p.patch_frames, p.patch_hop_frames, axis=0)[..., tf.newaxis]


_FORMS = {
    "Bidirectional": LiteBidirectional,
    "Float32Mel": LiteMel,
    "HubAudioEncoder": LiteEncoder,
    "MaskPadding": LiteMaskPadding,
    "ZeroPadding1D": LiteZeroPadding1D,
}


def _in_lite_form(config, forms: dict[str, type]):
    """Return a model's configuration with the layers replaced, and every policy float32."""
    if isinstance(config, list | tuple):
        return [_in_lite_form(each, forms) for each in config]
    if not isinstance(config, dict):
        return config
    kind = config.get("class_name")
    if kind == "DTypePolicy":
        return "float32"
    config = {key: _in_lite_form(value, forms) for key, value in config.items()}
    if kind in forms:
        form = forms[kind]
        name = form.__name__
        config |= {"class_name": name, "registered_name": name, "module": form.__module__}
    return config
