"""The ragged form of a tagger: the same weights, for clips that are padded at their ends.

So a network of a fixed window serves any shorter clip, which gets exactly what it gets alone.
"""

import functools

import kapre
import keras
from keras import layers

from mmat.media.sound import FRAME_SAMPLES
from mmat.models.audio import crnn_trunk, encoder_trunk, recurrent_tagger, talnet
from mmat.models.bundle import Bundle
from mmat.models.features import MelParameters
from mmat.models.fusion import fused_model, late_fusion, middle_fusion
from mmat.models.learnt import ragged_learnt
from mmat.models.names import zero_shot_model
from mmat.models.outputs import task_of
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import image_network


def ragged_form(bundle: Bundle) -> keras.Model | None:
    """Return a bundle's model with the input `n_samples`, int32 `(batch,)`, as well.

    It is that of `audio_branch`, `talnet`, `fused_model`, `learnt_models` and of untrained bundles,
    in float32, as it would be built with `ragged=True`. None for other models, such as own ones,
    and for those that hear nothing.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), [0.5, 0.5])
    >>> sorted(ragged_form(bundle).input)
    ['n_samples', 'waveform']
    """
    model = bundle.model
    if "n_samples" in model.input or "waveform" not in model.input:
        return model if "n_samples" in model.input else None
    try:
        if model.name == "learnt_names":
            return _learnt(bundle)
        ragged = _BUILDERS[model.name](model)
        ragged.set_weights(model.get_weights())
    except (LookupError, AttributeError, ValueError):  # a model of another make
        return None
    return ragged


def _audio_branch(model: keras.Model) -> keras.Model:
    """The branch of `mmat.models.audio` with the parameters that a branch's layers have."""
    n_classes, task = model.output["clip"].shape[-1], task_of(model.output["clip"])
    pooling = model.get_layer("clip").pooling
    encoders = _all(model, HubAudioEncoder)
    if encoders:
        trunk = encoder_trunk(encoders[0].record, (), ragged=True)
    elif _all(model, layers.BatchNormalization):
        return talnet(n_classes, pooling=pooling, mel=_mel(model), ragged=True, task=task)
    else:
        convolutions, pools = _all(model, layers.Conv2D), _all(model, layers.MaxPooling2D)
        blocks = [
            (conv.filters, pool.pool_size) for conv, pool in zip(convolutions, pools, strict=True)
        ]
        trunk = crnn_trunk(_mel(model), (), "float32", True, blocks)
    units = model.get_layer("embedding").forward_layer.units
    return recurrent_tagger(
        *trunk, n_classes, pooling, units, 0.0, "float32", FRAME_SAMPLES, task, adapt=None
    )


def _mel(model: keras.Model) -> MelParameters:
    (stft,) = _all(model, kapre.STFT)
    (bank,) = _all(model, kapre.ApplyFilterbank)
    (decibel,) = _all(model, kapre.MagnitudeToDecibel)
    kwargs = bank.filterbank_kwargs
    return MelParameters(
        kwargs["sample_rate"],
        stft.n_fft,
        stft.win_length,
        stft.hop_length,
        kwargs["n_mels"],
        kwargs["f_min"],
        kwargs["f_max"],
        decibel.amin,
        decibel.dynamic_range,
    )


def _fused(model: keras.Model) -> keras.Model:
    hears, sees = (
        next(part for part in _all(model, keras.Model) if name in part.input)
        for name in ("waveform", "image_probabilities")
    )
    names = {layer.name for layer in model.layers}
    fusion = late_fusion
    if "middle_hidden" in names:
        units = model.get_layer("middle_hidden").units
        fusion = functools.partial(middle_fusion, units=units)
    rates = model.get_layer("late_fusion").label_rates
    return fused_model(_audio_branch(hears), sees, fusion, rates)


def _untrained(model: keras.Model) -> keras.Model:
    names = ("sound_map", "label_map", "sound_network")
    sounds, images, network = (model.get_layer(name) for name in names)
    return zero_shot_model(sounds.map.numpy(), images.map.numpy(), network.record, ragged=True)


def _learnt(bundle: Bundle) -> keras.Model:
    sees = "image_probabilities" in bundle.model.input
    network = image_network(bundle.image_network) if sees else None
    return ragged_learnt(bundle.model, bundle.labels.task, network)


# By the names that the builders give their models.
_BUILDERS = {"audio": _audio_branch, "fused": _fused, "zero_training": _untrained}


def _all(model: keras.Model, kind: type) -> list:
    return [layer for layer in model.layers if isinstance(layer, kind)]
