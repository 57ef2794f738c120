"""The form of a model that LiteRT can hold: its log-mel is that of training."""

import keras
import numpy as np
import pytest

from mmat.export.lite_form import lite_form
from mmat.models.audio import crnn_trunk
from mmat.models.features import SPEECH_MEL, MelParameters, log_mel
from tests.models.test_features import SIGNALS


def mel_model(p: MelParameters) -> keras.Model:
    inputs, x = crnn_trunk(p, (), "float32", ragged=False, blocks=())
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("mel", "atol"), [(MelParameters(), 0.05), (SPEECH_MEL, 0.1)], ids=["authors", "speech"]
)
@pytest.mark.parametrize("samples", SIGNALS.values(), ids=SIGNALS.keys())
def test_the_log_mel_is_that_of_training(samples, mel, atol):
    samples = samples.astype(np.float32)[None, :, None]
    found = lite_form(mel_model(mel))({"waveform": samples})
    expected = log_mel(samples, mel)
    assert found.shape == expected.shape
    # What lies further under a pure tone is rounding noise in float32.
    floor = np.max(expected) - 55
    np.testing.assert_allclose(np.maximum(found, floor), np.maximum(expected, floor), atol=atol)


def test_other_mel_parameters_are_followed():
    p = MelParameters(32000, 512, 500, 320, 60, 60.0, 12000.0, 1e-8, 60.0)
    samples = SIGNALS["noise"].astype(np.float32)[None, :, None]
    found = lite_form(mel_model(p))({"waveform": samples})
    np.testing.assert_allclose(found, log_mel(samples, p), atol=1e-3)
