"""A few clips that a training is watched on: what they sound like, and what is heard when."""

import dataclasses
import functools
import io
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.plots.tagging import plot_tagging
from mmat.training.tensorboard.sections import Section


@dataclasses.dataclass(frozen=True)
class FixedClips:
    """The same few clips at every epoch.

    ids: what to call them. waveforms: float32 `(clips, samples, 1)`, 16 kHz. inputs: what the
    model takes for them, an array or a dict of arrays, clips first (default: the waveforms).
    weak_labels: `(clips, classes)`, what truly sounds, for the title. events: of each clip a list
    of `(class, onset seconds, offset seconds)`, drawn where they are known. Raises InputError
    where the numbers of clips differ.

    >>> FixedClips(["a", "b"], np.zeros((2, 16000, 1), np.float32)).model_inputs["waveform"].shape
    (2, 16000, 1)
    """

    ids: Sequence[str]
    waveforms: np.ndarray
    inputs: np.ndarray | dict[str, np.ndarray] | None = None
    weak_labels: np.ndarray | None = None
    events: Sequence[Sequence[tuple]] | None = None

    def __post_init__(self):
        inputs = self.model_inputs
        parts = {"waveforms": self.waveforms, "weak_labels": self.weak_labels}
        parts |= {"events": self.events}
        parts |= inputs if isinstance(inputs, dict) else {"inputs": inputs}
        for name, part in parts.items():
            if part is not None and len(part) != len(self.ids):
                raise InputError(f"fixed clips: {len(self.ids)} ids, but {len(part)} of {name}")

    @classmethod
    def of(cls, arrays: dict, clips: Sequence[int], inputs=None) -> "FixedClips":
        """Choose clips of a split by position, with what is known of them.

        arrays: as `mmat.shards.read.read_arrays` gives them. inputs: as above, of these clips.
        """
        clips = np.asarray(clips, int)
        return cls(
            [arrays["ids"][i] for i in clips],
            arrays["waveform"][clips],
            inputs,
            arrays["weak_labels"][clips],
            [arrays["events"][i] for i in clips],
        )

    @property
    def model_inputs(self) -> np.ndarray | dict[str, np.ndarray]:
        return {"waveform": self.waveforms} if self.inputs is None else self.inputs


class ClipPictures(Section):
    """Write each clip's sound once, and its log-mel and frame scores whenever there is drawing.

    The model is called on the clips as in inference. It must return `clip` and `frame`, which are
    drawn as the task of the labels asks (`mmat.plots.tagging.plot_tagging`).
    """

    def __init__(self, clips: FixedClips, labels: LabelSet):
        self.clips, self.names, self.task = clips, labels.names, labels.task

    def begin(self, model):
        for name, waveform in zip(self.clips.ids, self.clips.waveforms, strict=True):
            tf.summary.audio(f"sound/{name}", waveform[np.newaxis], SAMPLE_RATE_HZ)

    def after_checkpoint(self, model, logs, drawing):
        if not drawing:
            return
        # Not `predict`: that would compile anew, and under some strategies wait for others.
        scores = model(self.clips.model_inputs, training=False)
        clip_scores, frame_scores = (np.asarray(scores[name]) for name in ("clip", "frame"))
        thresholds = np.full(len(self.names), logs.get("val_threshold", 0.5), np.float32)
        for i, name in enumerate(self.clips.ids):
            png = io.BytesIO()
            plot_tagging(
                png,
                self._log_mels[i],
                frame_scores[i],
                self.names,
                thresholds,
                true_events=self.clips.events[i] if self.clips.events is not None else (),
                clip_scores=clip_scores[i],
                title=self._title(i),
                task=self.task,
            )
            picture = tf.io.decode_png(png.getvalue(), channels=3)
            tf.summary.image(f"clips/{name}", picture[tf.newaxis])

    @functools.cached_property
    def _log_mels(self) -> np.ndarray:
        from mmat.models.features import log_mel

        return np.asarray(log_mel(self.clips.waveforms))[..., 0]

    def _title(self, i: int) -> str:
        if self.clips.weak_labels is None:
            return str(self.clips.ids[i])
        weak_labels = self.clips.weak_labels[i]
        if self.task.is_regression:
            true = [f"{name} {x:g}" for name, x in zip(self.names, weak_labels, strict=True)]
        else:
            true = [self.names[c] for c in np.flatnonzero(weak_labels)]
        return f"{self.clips.ids[i]}: {', '.join(true) or 'nothing sounds'}"
