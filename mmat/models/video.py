"""The video branch: image labels of a few frames, mapped to sound events by their meaning."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from mmat.files import InputError
from mmat.labels import FRAME_HZ, LabelSet, Task, classes_and_task
from mmat.models.evidence import Sharpened
from mmat.models.label_map import label_similarities
from mmat.models.outputs import to_output
from mmat.models.pooling import MILPooling, mean_pooling
from mmat.pretrained.registry import ImageNetwork, image_network
from mmat.pretrained.text import embedded_text_encoder

SMALLEST_EVIDENCE = 1e-3


def video_branch(
    labels: LabelSet | int,
    network: ImageNetwork | str | None = None,
    *,
    similarities: np.ndarray | None = None,
    evidence: Callable = Sharpened(),
    pooling: Callable = mean_pooling,
    calibrated: bool = True,
    clip_seconds: float = 10.0,
    task: Task | None = None,
) -> keras.Model:
    """Build the video branch: image-label probabilities of frames in, event probabilities out.

    Input `image_probabilities`: float32 `(batch, n_frames, n_image_labels)`, the frames evenly
    spaced over the clip. Output: a dict of float32 probabilities, `clip` `(batch, classes)` and
    `frame` `(batch, time, classes)` at 10 Hz over `clip_seconds`, each frame held for its share;
    with another task what `mmat.models.outputs` says.

    labels: a label set, which knows its task. network: the image network whose labels the
    probabilities are of, such as `corpus.network` or `"efficientnet_lite0"`; its names are mapped
    to those of the labels by their similarity in the embedded text encoder, which is kept as a
    constant. similarities: float32 `(n_image_labels, classes)` in the place of that, such as
    `mmat.models.label_map.label_similarities` gives for another encoder; labels may then be a
    number of classes. evidence: a way of that module. calibrated: learn a slope and an offset for
    each class from weak labels; without, the evidence itself is the score and nothing is trained.
    task: of a number of classes, default multi-label. Raises InputError where image labels
    cannot be related to labels, and for weights that were not fetched.

    The structure is the paper's (arXiv 1712.09680); evidence and calibration are ours.

    >>> model = video_branch(LabelSet.of(["Dog", "Train horn"]), "efficientnet_lite0")
    >>> {name: tuple(x.shape[1:]) for name, x in model.output.items()}
    {'clip': (2,), 'frame': (100, 2)}
    >>> video_branch(3, similarities=np.eye(5, 3)).input["image_probabilities"].shape
    (None, None, 5)
    """
    n_classes, task = classes_and_task(labels, task)
    if similarities is None:
        similarities = _named_similarities(labels, network)
    n_image_labels, n_mapped = np.shape(similarities)
    if n_mapped != n_classes:
        raise InputError(f"similarities: of {n_mapped} classes, and there are {n_classes} labels")
    probabilities = keras.Input((None, n_image_labels), name="image_probabilities")
    x = LabelMap(similarities, evidence, name="label_map")(probabilities)
    # (batch, n_frames, classes)
    if calibrated:
        x = Calibration(name="calibration")(x)
    clip = MILPooling(pooling, name="clip")(x)  # (batch, classes)
    frame = HoldFrames(round(clip_seconds * FRAME_HZ), name="frame")(x)
    outputs = {"clip": to_output(clip, task), "frame": to_output(frame, task)}
    return keras.Model({"image_probabilities": probabilities}, outputs, name="video")


def _named_similarities(labels: LabelSet | int, network: ImageNetwork | str | None) -> np.ndarray:
    if network is None or not isinstance(labels, LabelSet):
        raise InputError(
            "video_branch: image labels are mapped by their names; give a label set and the image "
            "network that looked at the pictures (`mmat prepare --image-model`), or similarities"
        )
    network = image_network(network) if isinstance(network, str) else network
    return label_similarities(network.labels(), labels, embedded_text_encoder())


@keras.saving.register_keras_serializable(package="mmat")
class LabelMap(layers.Layer):
    """Map image-label probabilities to the evidence of sound events, with a constant map.

    `(batch, n_frames, n_image_labels)` to `(batch, n_frames, classes)` in [0, 1].

    >>> LabelMap(np.eye(3, 2), Sharpened(1.0))(np.float32([[[0.5, 0.25, 0.25]]])).numpy().tolist()
    [[[0.5, 0.25]]]
    """

    def __init__(self, similarities, evidence: Callable, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.similarities = np.asarray(similarities, np.float32)
        self.evidence = evidence

    def build(self, input_shape):
        self.map = self.add_weight(
            name="map", shape=self.similarities.shape, trainable=False, initializer="zeros"
        )
        self.map.assign(self.similarities)

    def call(self, probabilities):
        return self.evidence(probabilities, self.map)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.similarities.shape[1])

    def get_config(self):
        # The map itself is saved among the weights; the configuration holds its shape alone.
        return super().get_config() | {
            "similarities": {"shape": list(self.similarities.shape)},
            "evidence": keras.saving.serialize_keras_object(self.evidence),
        }

    @classmethod
    def from_config(cls, config):
        similarities = np.zeros(config["similarities"]["shape"], np.float32)
        evidence = keras.saving.deserialize_keras_object(config["evidence"])
        return cls(**config | {"similarities": similarities, "evidence": evidence})


@keras.saving.register_keras_serializable(package="mmat")
class Calibration(layers.Layer):
    """Turn evidence in [0, 1] into probabilities: `σ(slope · log(evidence) + offset)` a class.

    `(batch, …, classes)` to the same shape, float32.

    >>> Calibration()(np.full((1, 8, 3), 0.5, "float32")).shape
    TensorShape([1, 8, 3])
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.slope = self.add_weight(
            name="slope", shape=shape, initializer="ones", constraint=keras.constraints.NonNeg()
        )
        self.offset = self.add_weight(name="offset", shape=shape, initializer="zeros")

    def call(self, evidence):
        logs = ops.log(ops.maximum(ops.cast(evidence, "float32"), 0.0) + SMALLEST_EVIDENCE)
        return ops.sigmoid(self.slope * logs + self.offset)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="mmat")
class HoldFrames(layers.Layer):
    """Hold each of a few evenly spaced frames for its share of a finer time axis.

    `(batch, n_frames, classes)` to `(batch, n_steps, classes)`; with `n_steps=None` a second input
    `(batch, time, …)` says how many steps there are.

    >>> HoldFrames(4)(np.float32([[[1.0], [2.0]]])).numpy().ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    def __init__(self, n_steps: int | None = None, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.n_steps = n_steps

    def call(self, inputs):
        frames, reference = inputs if self.n_steps is None else (inputs, None)
        n_steps = self.n_steps if reference is None else ops.shape(reference)[1]
        n_frames = ops.shape(frames)[1]
        return ops.take(frames, ops.arange(n_steps) * n_frames // n_steps, axis=1)

    def compute_output_shape(self, input_shape):
        if self.n_steps is not None:
            return (input_shape[0], self.n_steps, *input_shape[2:])
        frames, reference = input_shape
        return (frames[0], reference[1], *frames[2:])

    def get_config(self):
        return super().get_config() | {"n_steps": self.n_steps}
