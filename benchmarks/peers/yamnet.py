"""YAMNet as its users run it: Google's SavedModel, one waveform after the other."""

from collections.abc import Callable

import tensorflow as tf

from benchmarks.waveforms import waveforms
from mmat.pretrained import embedded


def tagging(batch_size: int) -> Callable:
    network = tf.saved_model.load(str(embedded.saved_model_folder()))
    clips = [tf.constant(clip) for clip in waveforms(batch_size)]

    def run():
        for clip in clips:
            scores, _, _ = network(clip)
            scores.numpy()

    return run


def files() -> dict[str, str]:
    """Return where the SavedModel and the table of its classes lie."""
    class_map = embedded.fetched_folder() / "assets" / embedded.CLASS_MAP_FILE
    return {"saved_model": str(embedded.saved_model_folder()), "class_map": str(class_map)}
