"""TALNet, the authors' larger net: ten small convolutions with batch norm under a wider GRU."""

from collections.abc import Callable, Iterable, Sequence

import keras
from keras import layers, ops

from mmat.labels import LabelSet
from mmat.models.audio import normalized_mel, recurrent_tagger
from mmat.models.features import MelParameters
from mmat.models.pooling import linear_softmax
from mmat.models.ragged import ValidSteps, mask_padding
from mmat.tasks import Task

# (filters of two 3×3 convolutions, then a pool over time and frequency)
TALNET_BLOCKS = ((32, (2, 2)), (64, (2, 2)), (128, (1, 2)), (256, (1, 2)), (512, (1, 2)))
TALNET_GRU_UNITS = 512
# The authors' are those of their framework: a tenth of each batch enters the running mean.
NORM = {"momentum": 0.9, "epsilon": 1e-5}


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

    Inputs, outputs and arguments are those of `mmat.models.audio.audio_branch`, whose place it can
    take everywhere. 9,980,527 trainable parameters with 527 classes, 10,520,702 with attention
    pooling: the convolutions have biases beside the batch norm's own two weights a channel, and the
    GRU 512 units in each direction.

    Source: Wang, Li and Metze, arXiv 1810.09050.

    >>> model = talnet(17)
    >>> {name: tuple(x.shape[1:]) for name, x in model.output.items()}
    {'clip': (17,), 'frame': (None, 17)}
    """
    inputs, x = normalized_mel(mel, augmentation, ragged)  # (batch, 400, 64, 1) for 10 s
    n_samples, samples_per_step = inputs.get("n_samples"), mel.hop_samples
    for filters, pool in TALNET_BLOCKS:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", dtype=dtype)(x)
            own = {}
            if ragged:  # the padding is no part of a batch's mean and variance
                own["mask"] = ops.expand_dims(ValidSteps(samples_per_step)([x, n_samples]), -1)
            x = layers.BatchNormalization(**NORM, dtype=dtype)(x, **own)
            x = layers.ReLU(dtype=dtype)(x)
            x = mask_padding(x, n_samples, samples_per_step, dtype)
        x = layers.MaxPooling2D(pool, padding="same", dtype=dtype)(x)
        samples_per_step *= pool[0]
    # (batch, 200, 32, 32), (batch, 100, 16, 64), (batch, 100, 8, 128), (batch, 100, 4, 256), then
    # (batch, 100, 2, 512), and under the GRU (batch, 100, 1024)
    return recurrent_tagger(
        inputs, x, labels, pooling, TALNET_GRU_UNITS, dropout, dtype, samples_per_step, task, adapt
    )
