"""The frozen sound network as mmat rebuilds it, and the least that it costs."""

import math
from collections.abc import Callable

from benchmarks.counting import FLOAT_BYTES, fft_multiply_adds
from benchmarks.ours.networks import given
from benchmarks.waveforms import N_SAMPLES
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import yamnet
from mmat.pretrained.yamnet import YAMNET, mel_bank, yamnet_network


def hearing(batch_size: int) -> Callable:
    layer, clips = HubAudioEncoder.of(yamnet), given(batch_size)
    return lambda: [output.numpy() for output in layer(clips).values()]


def costs(batch_size: int) -> dict[str, float]:
    """Return the multiply-adds and the bytes of a batch of 10 s clips."""
    network, n_patches = yamnet_network(), yamnet.n_patches(N_SAMPLES)
    # A kernel is applied at every place of the output; a Dense layer's has one place.
    a_patch = sum(
        math.prod(layer.output.shape[1:-1]) * math.prod(layer.weights[0].shape)
        for layer in network.layers
        if layer.weights
    )
    n_frames = YAMNET.patch_frames + (n_patches - 1) * YAMNET.patch_hop_frames
    bands = float((mel_bank() > 0).sum())
    spectrogram = n_frames * (fft_multiply_adds(YAMNET.fft_samples) + bands)
    n_outputs = n_patches * (yamnet.n_labels + yamnet.embedding_size)
    return {
        "multiply_adds": batch_size * (n_patches * a_patch + spectrogram),
        "bytes": FLOAT_BYTES * (network.count_params() + batch_size * (N_SAMPLES + n_outputs)),
    }
