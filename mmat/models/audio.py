"""The audio branch: a waveform in, clip and frame probabilities out.

Three networks share their start, their end and their arguments:

- `audio_branch`, the authors' CRNN: log-mel, three blocks of a 5×5 convolution, a GRU in both
  directions, one probability for each class and frame, pooled over the clip;
- `talnet`, the authors' larger network: ten 3×3 convolutions with batch norm under a wider GRU;
- `audio_branch(encoder=…)`: the frozen embeddings of a pretrained network under the same GRU.

Shapes in comments are those of a clip of 10 s at 16 kHz. `mask_padding` does something only in a
`ragged` model, whose clips differ in length: it holds what lies beyond a clip's end at 0.

Source: Wang, Li and Metze, arXiv 1810.09050, and the authors' code of 2017.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
from keras import layers, ops

from mmat.files import InputError
from mmat.labels import FRAME_HZ, LabelSet, Task, classes_and_task
from mmat.media.sound import FRAME_SAMPLES
from mmat.models.features import (
    BandNormalization,
    KeepFrames,
    MelParameters,
    PatchesToFrames,
    log_mel,
)
from mmat.models.masking import ValidSteps, mask_padding
from mmat.models.outputs import to_output
from mmat.models.pooling import MILPooling, attention, linear_softmax
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import AudioEncoder

# The authors' three blocks: filters of a 5×5 convolution, then a pool over (time, frequency).
BLOCKS = ((32, (1, 2)), (64, (2, 2)), (128, (2, 2)))
# For `SPEECH_MEL`, whose frames are 10 ms apart; they also lead to 10 frames a second (ours).
SPEECH_BLOCKS = ((32, (2, 2)), (64, (5, 2)), (128, (1, 2)))
GRU_UNITS = 100

# Filters of two 3×3 convolutions, then a pool over (time, frequency).
TALNET_BLOCKS = ((32, (2, 2)), (64, (2, 2)), (128, (1, 2)), (256, (1, 2)), (512, (1, 2)))
TALNET_GRU_UNITS = 512
# The authors' are those of their framework: a tenth of each batch enters the running mean.
TALNET_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def audio_branch(
    labels: LabelSet | int,
    adapt: Iterable | None = None,
    *,
    pooling: Callable = linear_softmax,
    mel: MelParameters = MelParameters(),
    augmentation: Sequence[layers.Layer] = (),
    dropout: float = 0.0,
    dtype: str = "float32",
    ragged: bool = False,
    encoder: AudioEncoder | None = None,
    task: Task | None = None,
    blocks: Sequence[tuple[int, tuple[int, int]]] = BLOCKS,
) -> keras.Model:
    """Build the authors' CRNN: waveform in, clip and frame probabilities out.

    Input `waveform`: float32 `(batch, samples, 1)` at 16 kHz, of any length. Output: a dict of
    float32 probabilities, `clip` `(batch, classes)` and `frame` `(batch, time, classes)` at 10 Hz.
    With another task they are what `mmat.models.outputs` says. It is a Keras functional model:
    compile it with `loss={"clip": labels.task.loss}`, and fit it.

    labels: a label set, which knows its task, or a number of classes. adapt: batches of training
    clips as `fit` takes them, from which the mean and the std of each mel band are learnt; see
    `adapt_normalization`, which does the same later. A model that learnt neither can be built,
    saved and loaded, but raises InputError at its first training step.

    pooling: a function of `mmat.models.pooling`. augmentation: layers on the normalised log-mel
    that act in training alone. dtype: the policy of convolutions and GRU (`mixed_bfloat16` is
    about twice as fast on a CPU that has it). task: of a number of classes, default multi-label.
    936,041 trainable parameters with 17 classes, 939,458 with attention pooling.

    ragged: clips of different length in one batch, padded at their ends. A further input
    `n_samples`, int32 `(batch,)`, says how long each is. A clip gets what it gets alone from the
    same weights without padding, `frame` is 0 beyond its end, and all is 0 for a clip of length 0.

    encoder: the frozen embeddings of an audio network, such as `yamnet` of
    `mmat.pretrained.registry`, in the place of log-mel and convolutions; brought to
    10 Hz by interpolation, and normalised as the mel is. `mel` and `blocks` are then ignored.

    blocks: of the convolutions, (filters, pool over time and frequency), which lead from the mel's
    hop to 10 Hz: the authors', or `SPEECH_BLOCKS` with `SPEECH_MEL`. Raises ValueError for blocks
    that lead elsewhere.

    Source: Wang, Li and Metze, arXiv 1810.09050, and the authors' code of 2017; the encoder is
    ours.

    >>> import numpy as np
    >>> labels = LabelSet.of(["Dog", "Train horn"])
    >>> waveform = np.random.default_rng(0).uniform(-1, 1, (4, 16000, 1)).astype("float32")
    >>> model = audio_branch(labels, adapt=[waveform])
    >>> {name: tuple(x.shape[1:]) for name, x in model.output.items()}
    {'clip': (2,), 'frame': (None, 2)}
    >>> model.compile("adam", loss={"clip": labels.task.loss})
    >>> _ = model.fit({"waveform": waveform}, {"clip": np.eye(4, 2)}, verbose=0)
    >>> model.predict({"waveform": waveform}, verbose=0)["frame"].shape
    (4, 10, 2)
    """
    if encoder is None:
        _check_rate(mel, blocks)
        inputs, x = crnn_trunk(mel, augmentation, dtype, ragged, blocks)  # (batch, 100, 8, 128)
    else:
        inputs, x = encoder_trunk(encoder, augmentation, ragged)  # YAMNet: (batch, 100, 1024, 1)
    return recurrent_tagger(
        inputs, x, labels, pooling, GRU_UNITS, dropout, dtype, FRAME_SAMPLES, task, adapt
    )


def crnn_trunk(
    mel: MelParameters,
    augmentation: Sequence[layers.Layer],
    dtype: str,
    ragged: bool,
    blocks: Sequence[tuple[int, tuple[int, int]]] = BLOCKS,
):
    """Begin the authors' CRNN: its inputs by name, and the feature maps of its convolutions."""
    inputs = waveform_inputs(ragged)  # waveform: (batch, 160000, 1)
    n_samples, samples_per_step = inputs.get("n_samples"), mel.hop_samples
    x = log_mel(inputs["waveform"], mel, n_samples)  # (batch, 400, 64, 1)
    x = normalized(x, augmentation, n_samples, samples_per_step)  # (batch, 400, 64, 1)
    for filters, pool in blocks:
        x = layers.Conv2D(filters, 5, padding="same", activation="relu", dtype=dtype)(x)
        x = mask_padding(x, n_samples, samples_per_step, dtype)
        x = layers.MaxPooling2D(pool, padding="same", dtype=dtype)(x)
        samples_per_step *= pool[0]
    return inputs, x  # (batch, 400, 32, 32), (batch, 200, 16, 64), now (batch, 100, 8, 128)


def recurrent_tagger(
    inputs: dict,
    x,
    labels: LabelSet | int,
    pooling: Callable,
    gru_units: int,
    dropout: float,
    dtype: str,
    samples_per_step: int,
    task: Task | None,
    adapt: Iterable | None,
) -> keras.Model:
    """End an audio branch: from feature maps `(batch, time, frequency, channels)` to the model.

    labels, task, adapt: as `audio_branch` takes them. gru_units: of each direction.
    samples_per_step: from one time step of `x` to the next.
    """
    n_classes, task = classes_and_task(labels, task)
    n_samples = inputs.get("n_samples")
    x = layers.Reshape((-1, x.shape[2] * x.shape[3]), dtype=dtype)(x)  # (batch, 100, 1024)
    x = layers.Dropout(dropout, dtype=dtype)(x)
    mask = {}
    if n_samples is not None:  # one step at least, since cuDNN takes no empty sequence
        mask["mask"] = ValidSteps(samples_per_step, at_least=1)([x, n_samples])
    gru = layers.GRU(gru_units, return_sequences=True, dtype=dtype)
    x = layers.Bidirectional(gru, dtype=dtype, name="embedding")(x, **mask)  # (batch, 100, 200)
    x = mask_padding(x, n_samples, samples_per_step, dtype)
    x = layers.Dropout(dropout, dtype=dtype)(x)
    frame = layers.Dense(n_classes, activation=task.activation, dtype="float32", name="frame")(x)
    frame = mask_padding(frame, n_samples, samples_per_step)  # (batch, 100, classes)
    pooled = [frame]
    if pooling is attention:
        pooled.append(layers.Dense(n_classes, dtype="float32", name="attention")(x))
    if n_samples is not None:
        pooled.append(ValidSteps(samples_per_step, name="own_frames")([x, n_samples]))
    clip = MILPooling(pooling, name="clip")(pooled if len(pooled) > 1 else frame)
    outputs = {"clip": to_output(clip, task), "frame": to_output(frame, task)}  # (batch, classes)
    if task.is_regression:  # 0 is the lowest score, but not the lowest value
        outputs["frame"] = mask_padding(outputs["frame"], n_samples, samples_per_step)
    model = keras.Model(inputs, outputs, name="audio")
    if adapt is not None:
        adapt_normalization(model, adapt)
    return model


def waveform_inputs(ragged: bool) -> dict:
    """Return the inputs of an audio branch by name; `n_samples` is that of a ragged one."""
    inputs = {"waveform": keras.Input((None, 1), name="waveform")}
    if ragged:
        inputs["n_samples"] = keras.Input((), dtype="int32", name="n_samples")
    return inputs


def normalized(x, augmentation: Sequence[layers.Layer], n_samples, samples_per_step: int):
    """Normalise features `(batch, frames, bands, 1)` band by band, and augment them in training."""
    x = BandNormalization(name="band_normalization")(x)
    for layer in augmentation:
        x = layer(x)
    return mask_padding(x, n_samples, samples_per_step)


def talnet(
    labels: LabelSet | int,
    adapt: Iterable | None = None,
    *,
    pooling: Callable = linear_softmax,
    mel: MelParameters = MelParameters(),
    augmentation: Sequence[layers.Layer] = (),
    dropout: float = 0.0,
    dtype: str = "float32",
    ragged: bool = False,
    task: Task | None = None,
) -> keras.Model:
    """Build TALNet: waveform in, clip and frame probabilities out.

    Inputs, outputs and arguments are those of `audio_branch`, whose place it can take
    everywhere. 9,980,527 trainable parameters with 527 classes, 10,520,702 with attention
    pooling: the convolutions have biases beside the batch norm's own two weights a channel, and the
    GRU 512 units in each direction.

    Source: Wang, Li and Metze, arXiv 1810.09050.

    >>> model = talnet(17)
    >>> {name: tuple(x.shape[1:]) for name, x in model.output.items()}
    {'clip': (17,), 'frame': (None, 17)}
    """
    inputs = waveform_inputs(ragged)  # waveform: (batch, 160000, 1)
    n_samples, samples_per_step = inputs.get("n_samples"), mel.hop_samples
    x = log_mel(inputs["waveform"], mel, n_samples)  # (batch, 400, 64, 1)
    x = normalized(x, augmentation, n_samples, samples_per_step)  # (batch, 400, 64, 1)
    for filters, pool in TALNET_BLOCKS:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", dtype=dtype)(x)
            own = {}
            if ragged:  # the padding is no part of a batch's mean and variance
                own["mask"] = ops.expand_dims(ValidSteps(samples_per_step)([x, n_samples]), -1)
            x = layers.BatchNormalization(**TALNET_NORM, dtype=dtype)(x, **own)
            x = layers.ReLU(dtype=dtype)(x)
            x = mask_padding(x, n_samples, samples_per_step, dtype)
        x = layers.MaxPooling2D(pool, padding="same", dtype=dtype)(x)
        samples_per_step *= pool[0]
    # (batch, 200, 32, 32), (batch, 100, 16, 64), (batch, 100, 8, 128), (batch, 100, 4, 256), then
    # (batch, 100, 2, 512), and under the GRU (batch, 100, 1024)
    return recurrent_tagger(
        inputs, x, labels, pooling, TALNET_GRU_UNITS, dropout, dtype, samples_per_step, task, adapt
    )


def encoder_trunk(encoder: AudioEncoder, augmentation: Sequence[layers.Layer], ragged: bool):
    """Begin an audio branch: its inputs by name, and the normalised embeddings of an encoder.

    The embeddings, float32 `(batch, frames, embedding_size, 1)` at 10 Hz, stand in the place of a
    mel and its bands, so that code that fits or asks audio branches need not know which it has.
    """
    inputs = waveform_inputs(ragged)  # waveform: (batch, 160000, 1)
    n_samples = inputs.get("n_samples")
    # The padding is silence, as that which the encoder adds to a clip's end by itself.
    heard = mask_padding(inputs["waveform"], n_samples, samples_per_step=1)
    patches = HubAudioEncoder.of(encoder, name="encoder")(heard)["embedding"]
    # YAMNet: (batch, 20, 1024)
    to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, FRAME_SAMPLES)
    x = to_frames([patches, *inputs.values()])  # (batch, 100, 1024)
    x = layers.Reshape((-1, encoder.embedding_size, 1))(x)  # (batch, 100, 1024, 1)
    return inputs, normalized(x, augmentation, n_samples, FRAME_SAMPLES)


def adapt_normalization(model: keras.Model, batches: Iterable) -> None:
    """Learn the mean and the std of an audio branch's mel bands over batches of training clips.

    With an encoder, those of its embeddings. batches: a dataset or any other iterable that ends; a
    batch is `(inputs, targets)` as `fit` takes it, the inputs alone by name, or a waveform float32
    `(batch, samples, 1)`. A ragged model takes `n_samples` beside the waveform: the padding does
    not count, nor does a clip of which `has_audio` says that it has no sound. Raises InputError for
    clips with lengths of their own where the model is not ragged, or the other way round.
    """
    normalization = model.get_layer("band_normalization")
    decibels = keras.Model(model.input, normalization.input)
    ragged = "n_samples" in model.input
    hops = [
        layer.hop_samples
        for layer in model.layers
        if isinstance(layer, KeepFrames | PatchesToFrames)
    ]

    def own_decibels(batch):
        inputs = batch[0] if isinstance(batch, tuple | list) else batch
        inputs = inputs if isinstance(inputs, dict) else {"waveform": inputs}
        if ("n_samples" in inputs) != ragged:
            raise InputError(
                "adapt: clips with lengths of their own have `n_samples` beside the waveform, and "
                "are for a model built with ragged=True, as no others are"
            )
        own = {name: np.asarray(inputs[name]) for name in model.input}
        if "has_audio" in inputs:
            own = {name: x[np.asarray(inputs["has_audio"])] for name, x in own.items()}
        frames = decibels.predict_on_batch(own)  # (batch, frames, bands, 1)
        if not ragged:
            return frames
        return frames[ValidSteps(*hops)([frames, own["n_samples"]]).numpy()][None]

    normalization.adapt(own_decibels(batch) for batch in batches)
    model.train_function = None  # one that was refused for want of this is to be traced anew


def _check_rate(mel: MelParameters, blocks: Sequence[tuple[int, tuple[int, int]]]) -> None:
    hops = math.prod(time for _, (time, _) in blocks)
    if hops * mel.hop_seconds * FRAME_HZ != 1:
        raise ValueError(
            f"blocks: they pool {hops} hops of {mel.hop_seconds:g} s, which makes no frame of "
            f"{1 / FRAME_HZ:g} s; pool so many that it does"
        )
