"""YAMNet as its users run it: Google's SavedModel, one waveform after the other."""

from collections.abc import Callable

import tensorflow as tf

from benchmarks.peers.yamnet_tag import loaded
from benchmarks.waveforms import waveforms
from mmat.pretrained.embedded import YAMNET_CLASS_MAP, yamnet_wheel_folder


def tagging(batch_size: int) -> Callable:
    network = loaded(yamnet_wheel_folder())
    clips = [tf.constant(clip) for clip in waveforms(batch_size)]

    def run():
        for clip in clips:
            scores, _, _ = network(clip)
            scores.numpy()

    return run


def in_a_graph(batch_size: int) -> Callable:
    """All clips by one call, in which each is heard after the other."""
    network, clips = loaded(yamnet_wheel_folder()), tf.constant(waveforms(batch_size))
    sizes = [tf.TensorSpec((None, size), tf.float32) for size in (521, 1024, 64)]
    graph = tf.function(lambda clips: tf.map_fn(network, clips, fn_output_signature=sizes))
    return lambda: [output.numpy() for output in graph(clips)]


def files() -> dict[str, str]:
    """Return where the SavedModel and the table of its classes lie."""
    folder = yamnet_wheel_folder()
    return {"saved_model": str(folder), "class_map": str(folder / "assets" / YAMNET_CLASS_MAP)}
