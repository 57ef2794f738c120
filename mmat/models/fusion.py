"""Fusion of the branches: late by weights a class, or in the middle on joined embeddings."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from mmat.models.answers import answered, scored, task_of
from mmat.models.joining import Corrected, Fallback, LateFusion, ModalityDropout, WherePresent
from mmat.models.ragged import HoldOwnFrames, OwnMeanAndMax, mask_padding
from mmat.models.video import HoldFrames
from mmat.tasks import Task


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
    each branch said, 0 where it was absent: `audio` and `video` `(batch, classes)`, `audio_frame`
    and `video_frame` `(batch, time, classes)`.

    A clip without video gets exactly what the audio branch says, a clip without audio exactly
    what the video branch says, a clip with neither gets 0. The two models that are passed in are
    frozen (`trainable = False`), so that their answers alone stay what they were.

    audio, video: from `audio_branch` or `talnet` and from `video_branch`, of the same labels,
    trained before; what their task is, their outputs tell. fusion: `late_fusion` (default) or
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
    sound = {"waveform": keras.Input((None, 1), name="waveform")}
    if ragged:
        sound["n_samples"] = keras.Input((), dtype="int32", name="n_samples")
    probabilities = keras.Input(
        video.input["image_probabilities"].shape[1:], name="image_probabilities"
    )
    has_audio = keras.Input((), dtype="bool", name="has_audio")
    has_video = keras.Input((), dtype="bool", name="has_video")

    more = {"embedding": audio.get_layer("embedding").output}
    if ragged:
        more["own"] = audio.get_layer("own_frames").output  # bool (batch, time)
    heard = _also(audio, **more)(sound)
    evidence, shots = video.get_layer("label_map").output, video.get_layer("clip").input
    seen = _also(video, evidence=evidence, shots=shots)({"image_probabilities": probabilities})
    hold, time = (HoldOwnFrames, heard["own"]) if ragged else (HoldFrames, heard["frame"])
    seen["frame"] = answered(hold(name="held_frames")([seen["shots"], time]), task)
    keep = ModalityDropout(modality_dropout, name="modality_dropout")([heard["clip"], seen["clip"]])
    rates = np.full(n_classes, 0.5) if label_rates is None else np.asarray(label_rates)
    joined = (fusion or late_fusion)(_scored(heard, task), _scored(seen, task), keep, rates)
    joined = {name: answered(scores, task) for name, scores in joined.items()}
    if ragged:
        samples_per_step = audio.get_layer("own_frames").samples_per_step
        joined["frame"] = mask_padding(joined["frame"], sound["n_samples"], samples_per_step)

    clip = Fallback(name="clip")(
        [joined["clip"], heard["clip"], seen["clip"], has_audio, has_video]
    )
    frame = Fallback(name="frame")(
        [joined["frame"], heard["frame"], seen["frame"], has_audio, has_video]
    )
    outputs = {"clip": clip, "frame": frame}
    for sense, said, present in (("audio", heard, has_audio), ("video", seen, has_video)):
        outputs[sense] = WherePresent(name=f"{sense}_clip")([said["clip"], present])
        alone = WherePresent(name=f"{sense}_frame_alone")
        outputs[f"{sense}_frame"] = alone([said["frame"], present])
    inputs = sound | {x.name: x for x in (probabilities, has_audio, has_video)}
    return keras.Model(inputs, outputs, name="fused")


def late_fusion(heard: dict, seen: dict, keep, label_rates: np.ndarray) -> dict:
    """Weigh the branches' log-odds, two weights a class, for the clip and for each frame alike."""
    weigh = LateFusion(label_rates, name="late_fusion")
    return {
        "clip": weigh([heard["clip"], seen["clip"], keep]),
        "frame": weigh([heard["frame"], seen["frame"], keep]),
    }


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


def _scored(said: dict, task: Task) -> dict:
    return said | {name: scored(said[name], task) for name in ("clip", "frame")}


def _mean_and_max(x):
    return ops.concatenate([ops.mean(x, axis=1), ops.max(x, axis=1)], axis=-1)


def _also(branch: keras.Model, **outputs) -> keras.Model:
    """The same branch with more of its tensors among the outputs."""
    return keras.Model(branch.input, branch.output | outputs, name=branch.name)
