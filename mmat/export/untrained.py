"""Makes the LiteRT file that tags with any labels, untrained, as a program of its own:

    python -m mmat.export.untrained FILE

It is the model of `mmat.models.names.zero_shot_model` with what that knows of its labels as inputs
instead of constants, so that one file serves all labels; `mmat.export.untrained_file` runs it. A
process of its own, since TensorFlow is needed for it alone, and its converter ends the process
where it meets what it cannot convert.
"""

import functools
import pathlib
import sys
import tempfile

import tensorflow as tf

from mmat.export.archive import IMAGES_FILE, append_members
from mmat.export.lite_form import LiteEncoder
from mmat.export.litert import image_signatures
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.tflite_convert import convert
from mmat.export.tflite_file import AUDIO_ONLY, SERVING
from mmat.export.untrained_file import (
    CLIP_SECONDS,
    IMAGE_NETWORK,
    LABEL_INPUTS,
    SOUND_NETWORK,
    WEIGHTS,
)
from mmat.files import atomic_path
from mmat.media.sound import SAMPLE_RATE_HZ
from mmat.models.evidence import EqualPriors, LikeliestName
from mmat.models.name_maps import N_FRAMES
from mmat.models.names import LabelSteps, zero_shot_outputs
from mmat.models.rivals import competed, strongest_of, yielding
from mmat.models.sound_timing import timed_by_sound
from mmat.startup import collect_less_often

_HEAR, _SEE = LikeliestName(), EqualPriors()


def write_untrained(path: pathlib.Path) -> None:
    """Write the file; raises whatever the converter does, and InputError without weights."""
    n_image_labels = len(IMAGE_NETWORK.labels())
    specs = {
        "waveform": tf.TensorSpec((1, round(CLIP_SECONDS * SAMPLE_RATE_HZ), 1)),
        "n_samples": tf.TensorSpec((1,), tf.int32),
    }
    pictures = {
        "image_probabilities": tf.TensorSpec((1, N_FRAMES, n_image_labels)),
        "has_audio": tf.TensorSpec((1,), tf.bool),
        "has_video": tf.TensorSpec((1,), tf.bool),
    }
    n_names = {"sound_similarities": SOUND_NETWORK.n_labels, "image_similarities": n_image_labels}
    of_labels = {
        name: tf.TensorSpec((n_names.get(name), *[None] * (rank - 1)) if rank else ())
        for name, rank in LABEL_INPUTS.items()
    }
    maps = {name: of_labels[name] for name in n_names}
    encoder = LiteEncoder.of(SOUND_NETWORK, name="sound_network")
    encoder.build(specs["waveform"].shape)

    def serve(**inputs):
        labels = {name: inputs.pop(name) for name in LABEL_INPUTS}
        return nan_in_nan_out(functools.partial(_outputs, encoder, labels))(**inputs)

    def audio_only(**inputs):
        black = tf.zeros((1, N_FRAMES, n_image_labels))
        yes, no = tf.constant([True]), tf.constant([False])
        return serve(image_probabilities=black, has_audio=yes, has_video=no, **inputs)

    module = tf.Module()
    module.encoder = encoder
    signatures = {
        SERVING: (serve, specs | pictures | of_labels),
        AUDIO_ONLY: (audio_only, specs | of_labels),
        WEIGHTS: (_weights, maps),
    }
    with atomic_path(path) as part:
        _convert(module, signatures, part)
        images = image_signatures(IMAGE_NETWORK, with_embedding=False)
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(images.module, folder, signatures=images.signatures)
            file = pathlib.Path(folder) / IMAGES_FILE
            convert(folder, str(file))
            append_members(part, {}, {IMAGES_FILE: file.read_bytes()})


def _convert(module: tf.Module, signatures: dict, part: pathlib.Path) -> None:
    graphs = {
        name: tf.function(function).get_concrete_function(**specs)
        for name, (function, specs) in signatures.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=graphs)
        convert(folder, str(part))


def _outputs(encoder: LiteEncoder, labels: dict, **inputs) -> dict:
    """Return what the model says; labels: the tensors of `LABEL_INPUTS`."""

    def compete(scores, name):
        rival = strongest_of(scores, labels["rivals"])
        x = competed(scores, rival, labels["power"])
        return yielding(x, labels["is_broad"] > 0, labels["is_narrow"] > 0)

    known = tf.reduce_any(labels["sound_similarities"] > 0, axis=0)
    steps = LabelSteps(
        hear=lambda x: _HEAR(x, labels["sound_similarities"]),
        see=lambda x: _SEE(x, labels["image_similarities"]),
        compete=compete,
        time=lambda scores: timed_by_sound(*scores, known),
    )
    return zero_shot_outputs(inputs, encoder, steps)


def _weights(sound_similarities, image_similarities) -> dict:
    """Return the evidence `(names, classes)` for each class where one name alone is certain."""
    return {
        "sound_weights": _HEAR(tf.eye(sound_similarities.shape[0]), sound_similarities),
        "image_weights": _SEE(tf.eye(image_similarities.shape[0]), image_similarities),
    }


if __name__ == "__main__":
    collect_less_often()
    write_untrained(pathlib.Path(sys.argv[1]))
