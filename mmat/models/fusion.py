"""Fusion of an audio and a video branch: one model, which also works with one of them missing.

`fused_model` joins two trained branches; `late_fusion` weighs their log-odds, `middle_fusion`
corrects that by a small network on the joined embeddings. The layers below work on scores of
clips `(batch, classes)` and of frames `(batch, time, classes)` alike.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from mmat.labels import Task
from mmat.models.audio import waveform_inputs
from mmat.models.masking import HoldOwnFrames, OwnMeanAndMax, mask_padding
from mmat.models.outputs import task_of, to_output, to_score
from mmat.models.scores import ScoreLayer, log_odds, shifted
from mmat.models.sound_timing import clip_shift
from mmat.models.video import HoldFrames

LATE_WEIGHTS = (0.7, 1.0)  # of audio and video, where learning starts; chosen on validation
MOST_SHIFT_TRAINED = 2.0  # log-odds by which a picture moves what is heard; chosen on validation


def fused_model(
    audio: keras.Model,
    video: keras.Model,
    fusion: Callable | None = None,
    label_rates: np.ndarray | None = None,
    modality_dropout: float = 0.2,
) -> keras.Model:
    """Join an audio and a video branch into one model that also works with one of them missing.

    Inputs: `waveform` `(batch, samples, 1)`, `image_probabilities` `(batch, n_frames,
    n_image_labels)`, `has_audio` and `has_video` bool `(batch,)`, and with a ragged audio branch
    `n_samples` int32 `(batch,)`, 0 for a clip without sound. Output: a dict of float32
    probabilities, `clip` `(batch, classes)`, `frame` `(batch, time, classes)` at 10 Hz, and what
    each branch predicts, 0 where it is absent: `audio` and `video` `(batch, classes)`,
    `audio_frame` and `video_frame` `(batch, time, classes)`.

    A clip without video gets exactly what the audio branch predicts, a clip without audio exactly
    what the video branch predicts, a clip with neither gets 0. What `frame` says of a clip with
    both is timed by the sound, see `LateFusion`. The two models that are passed in
    are frozen (`trainable = False`), so that what they predict alone stays what it was.

    audio, video: from `audio_branch` or `talnet` and from `video_branch`, of the same labels,
    trained before; their outputs tell their task. fusion: `late_fusion` (default) or
    `middle_fusion`. label_rates: how often each class occurs in what the branches learnt from,
    `(classes,)`, such as `corpus.label_rates()`; both branches know it, and it is counted once.
    modality_dropout: how often a branch is silenced in training. Train the fusion on clips that
    the audio branch did not learn from, or it is trusted too far. All of it is ours, the paper's
    public text names no formula.

    >>> from mmat.models.audio import audio_branch
    >>> from mmat.models.video import video_branch
    >>> model = fused_model(audio_branch(3), video_branch(3, similarities=np.eye(5, 3)))
    >>> sorted(model.input)
    ['has_audio', 'has_video', 'image_probabilities', 'waveform']
    >>> sorted(model.output)
    ['audio', 'audio_frame', 'clip', 'frame', 'video', 'video_frame']
    """
    task = task_of(audio.output["clip"])
    audio.trainable = video.trainable = False
    n_classes = audio.output["clip"].shape[-1]
    ragged = "n_samples" in audio.input
    sound = waveform_inputs(ragged)
    probabilities = keras.Input(
        video.input["image_probabilities"].shape[1:], name="image_probabilities"
    )
    has_audio = keras.Input((), dtype="bool", name="has_audio")
    has_video = keras.Input((), dtype="bool", name="has_video")

    heard = _heard(audio, sound)
    seen = _seen(video, probabilities, heard, task)
    keep = ModalityDropout(modality_dropout, name="modality_dropout")([heard["clip"], seen["clip"]])
    rates = np.full(n_classes, 0.5) if label_rates is None else np.asarray(label_rates)
    joined = (fusion or late_fusion)(_scored(heard, task), _scored(seen, task), keep, rates)
    joined = {name: to_output(scores, task) for name, scores in joined.items()}
    if ragged:
        samples_per_step = audio.get_layer("own_frames").samples_per_step
        joined["frame"] = mask_padding(joined["frame"], sound["n_samples"], samples_per_step)

    outputs = _with_fallback(joined, heard, seen, has_audio, has_video)
    inputs = sound | {x.name: x for x in (probabilities, has_audio, has_video)}
    return keras.Model(inputs, outputs, name="fused")


def _heard(audio: keras.Model, sound: dict) -> dict:
    """The outputs of the audio branch, `embedding` `(batch, time, 200)`, and of a ragged one `own`.

    `own`, bool `(batch, time)`, tells which frames are the clip's.
    """
    more = {"embedding": audio.get_layer("embedding").output}
    if "n_samples" in audio.input:
        more["own"] = audio.get_layer("own_frames").output
    return _with_outputs(audio, **more)(sound)


def _seen(video: keras.Model, probabilities, heard: dict, task: Task) -> dict:
    """The outputs of the video branch, `evidence` and `shots` `(batch, n_frames, classes)`.

    `frame` is that of the time that is heard, with the shots held.
    """
    evidence, shots = video.get_layer("label_map").output, video.get_layer("clip").input
    seen = _with_outputs(video, evidence=evidence, shots=shots)(
        {"image_probabilities": probabilities}
    )
    ragged = "own" in heard
    hold, time = (HoldOwnFrames, heard["own"]) if ragged else (HoldFrames, heard["frame"])
    seen["frame"] = to_output(hold(name="held_frames")([seen["shots"], time]), task)
    return seen


def _with_fallback(joined: dict, heard: dict, seen: dict, has_audio, has_video) -> dict:
    """The outputs of the fused model, of clips with one of the two, with both and with neither."""
    outputs = {
        name: Fallback(name=name)([joined[name], heard[name], seen[name], has_audio, has_video])
        for name in ("clip", "frame")
    }
    for sense, branch, present in (("audio", heard, has_audio), ("video", seen, has_video)):
        outputs[sense] = WherePresent(name=f"{sense}_clip")([branch["clip"], present])
        alone = WherePresent(name=f"{sense}_frame_alone")
        outputs[f"{sense}_frame"] = alone([branch["frame"], present])
    return outputs


def late_fusion(heard: dict, seen: dict, keep, label_rates: np.ndarray) -> dict:
    """Weigh the branches' log-odds of the clip, two weights a class; the sound times its frames."""
    weigh = LateFusion(label_rates, name="late_fusion")
    clip = [heard["clip"], seen["clip"], keep]
    return {"clip": weigh(clip), "frame": weigh([*clip, heard["frame"]])}


def middle_fusion(heard: dict, seen: dict, keep, label_rates: np.ndarray, units: int = 64) -> dict:
    """Correct the late fusion by a small network on the joined embeddings of both branches.

    The audio embedding is the recurrent layer's mean and maximum over time, the video embedding
    the logarithm of the evidence's mean and maximum over frames.
    """
    late = late_fusion(heard, seen, keep, label_rates)
    heard_keep, seen_keep = keep[:, :1], keep[:, 1:]
    embedding = ops.cast(heard["embedding"], "float32")
    own = [embedding, heard["own"]] if "own" in heard else None
    sound = OwnMeanAndMax()(own) if own else _mean_and_max(embedding)
    sound = sound * heard_keep
    sight = ops.log(_mean_and_max(seen["evidence"]) + 1e-3) * seen_keep
    x = layers.Concatenate(dtype="float32")([sound, sight])
    x = layers.Dropout(0.5, dtype="float32")(x)
    x = layers.Dense(units, activation="relu", dtype="float32", name="middle_hidden")(x)
    x = layers.Dropout(0.5, dtype="float32")(x)
    correction = layers.Dense(
        len(label_rates), kernel_initializer="zeros", dtype="float32", name="middle_correction"
    )(x)  # (batch, classes), 0 before training
    return {
        "clip": Corrected(name="corrected_clip")([late["clip"], correction]),
        "frame": Corrected(name="corrected_frame")([late["frame"], correction]),
    }


def _scored(branch: dict, task: Task) -> dict:
    """The outputs of a branch, its clip and frames as scores in [0, 1]."""
    return branch | {name: to_score(branch[name], task) for name in ("clip", "frame")}


def _with_outputs(branch: keras.Model, **outputs) -> keras.Model:
    """The same branch with more of its tensors among the outputs."""
    return keras.Model(branch.input, branch.output | outputs, name=branch.name)


def _mean_and_max(x):
    return ops.concatenate([ops.mean(x, axis=1), ops.max(x, axis=1)], axis=-1)


@keras.saving.register_keras_serializable(package="mmat")
class LateFusion(ScoreLayer):
    """Probability from the weighted log-odds of both branches, two learnt weights a class.

    `σ(w_audio · logit(audio) + w_video · (logit(video) - logit(rate)))`. Inputs: audio and video
    probabilities of one shape `(batch, …, classes)` and what to keep `(batch, 2)` of 0 and 1.
    A picture says that something is there, the sound says when: with a fourth input, a clip's
    frames as they are heard `(batch, time, classes)`, these are returned, their log-odds shifted
    over the whole clip by what the fusion adds to those of its sound, `MOST_SHIFT_TRAINED` at most.
    label_rates: `(classes,)`. pull: how strongly a weight is held to where it started, so that a
    class with few clips stays near the common weights.

    >>> layer = LateFusion([0.5])
    >>> fused = layer([np.float32([[0.5]]), np.float32([[0.5]]), np.float32([[1, 1]])])
    >>> float(fused[0, 0])
    0.5
    """

    def __init__(self, label_rates, pull: float = 0.3, **kwargs):
        super().__init__(**kwargs)
        self.label_rates = [float(rate) for rate in label_rates]
        self.pull = pull

    def build(self, input_shapes):
        self.prior = np.asarray(log_odds(np.float32(self.label_rates)))
        self.audio_weight, self.video_weight = (
            self.add_weight(
                name=f"{name}_weight",
                shape=self.prior.shape,
                initializer=keras.initializers.Constant(start),
                regularizer=L2Toward(start, self.pull),
            )
            for name, start in zip(("audio", "video"), LATE_WEIGHTS, strict=True)
        )

    def call(self, inputs):
        audio, video, keep, *frames = inputs
        shape = (-1, *[1] * (len(audio.shape) - 1))
        heard = self.audio_weight * log_odds(audio) * ops.reshape(keep[:, 0], shape)
        seen = self.video_weight * (log_odds(video) - self.prior)
        both = heard + seen * ops.reshape(keep[:, 1], shape)
        if not frames:
            return ops.sigmoid(both)
        return shifted(*frames, clip_shift(log_odds(audio), both, MOST_SHIFT_TRAINED))

    def compute_output_shape(self, input_shapes):
        return input_shapes[3] if len(input_shapes) > 3 else input_shapes[0]

    def get_config(self):
        return super().get_config() | {"label_rates": self.label_rates, "pull": self.pull}


@keras.saving.register_keras_serializable(package="mmat")
class L2Toward(keras.regularizers.Regularizer):
    """Half the mean squared distance of weights from where they started, times a strength."""

    def __init__(self, start: float, strength: float):
        self.start = start
        self.strength = strength

    def __call__(self, weights):
        return 0.5 * self.strength * ops.mean(ops.square(weights - self.start))

    def get_config(self):
        return {"start": self.start, "strength": self.strength}


@keras.saving.register_keras_serializable(package="mmat")
class ModalityDropout(layers.Layer):
    """Choose which branches to keep, `(batch, 2)` of 0 and 1: in training sometimes only one.

    rate: how often one of the two is silenced, never both. The inputs give the batch size alone.

    >>> scores = np.zeros((4, 3), "float32")
    >>> bool(ops.all(ModalityDropout(0.5)([scores, scores]) == 1))
    True
    """

    def __init__(self, rate: float = 0.2, seed: int | None = None, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.rate = rate
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        batch = ops.shape(inputs[0])[0]
        if not training:
            return ops.ones((batch, 2), "float32")
        draw = keras.random.uniform((batch,), seed=self.generator)
        without_audio, without_video = draw < self.rate / 2, draw > 1 - self.rate / 2
        return 1.0 - ops.cast(ops.stack([without_audio, without_video], axis=1), "float32")

    def compute_output_shape(self, input_shapes):
        return (input_shapes[0][0], 2)

    def get_config(self):
        return super().get_config() | {"rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="mmat")
class Corrected(ScoreLayer):
    """Add a correction `(batch, classes)` to the log-odds of scores `(batch, …, classes)`.

    >>> Corrected()([np.full((1, 2, 1), 0.5, "float32"), np.zeros((1, 1))]).numpy().tolist()
    [[[0.5], [0.5]]]
    """

    def call(self, inputs):
        scores, correction = inputs
        shape = (-1, *[1] * (len(scores.shape) - 2), scores.shape[-1])
        return ops.sigmoid(log_odds(scores) + ops.reshape(correction, shape))


@keras.saving.register_keras_serializable(package="mmat")
class Fallback(ScoreLayer):
    """The fused scores where both are present, else exactly those of the one that is, else 0.

    Inputs: fused, audio and video scores of one shape, `has_audio` and `has_video` `(batch,)`.

    >>> one, yes, no = np.ones((1, 2), "float32"), np.array([True]), np.array([False])
    >>> Fallback()([one, one / 2, one / 4, yes, no]).numpy().tolist()
    [[0.5, 0.5]]
    """

    def call(self, inputs):
        fused, audio, video, has_audio, has_video = inputs
        shape = (-1, *[1] * (len(fused.shape) - 1))
        has_audio, has_video = ops.reshape(has_audio, shape), ops.reshape(has_video, shape)
        alone = ops.where(has_audio, audio, ops.where(has_video, video, ops.zeros_like(video)))
        return ops.where(ops.logical_and(has_audio, has_video), fused, alone)


@keras.saving.register_keras_serializable(package="mmat")
class WherePresent(ScoreLayer):
    """A branch's scores `(batch, …, classes)`, 0 where the branch had no input.

    >>> WherePresent()([np.ones((1, 2), "float32"), np.array([False])]).numpy().tolist()
    [[0.0, 0.0]]
    """

    def call(self, inputs):
        scores, present = inputs
        shape = (-1, *[1] * (len(scores.shape) - 1))
        return ops.where(ops.reshape(present, shape), scores, ops.zeros_like(scores))


@keras.saving.register_keras_serializable(package="mmat")
class EitherRight(ScoreLayer):
    """The probability that at least one of two independent witnesses is right: `a + b·(1 - a)`.

    Two inputs of one shape in [0, 1]; where one is 0, exactly the other.

    >>> EitherRight()([np.float32([0.5, 0.0]), np.float32([0.5, 0.25])]).numpy().tolist()
    [0.75, 0.25]
    """

    def call(self, inputs):
        one, other = inputs
        return one + other * (1.0 - one)
