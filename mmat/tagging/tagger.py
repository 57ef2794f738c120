"""Tag media files with a model: a trained or exported one, or any labels untrained."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from mmat.export.load import GraphModel, load_served
from mmat.export.served import ServedModel
from mmat.files import InputError
from mmat.labels import FRAME_HZ, LabelSet
from mmat.media.read import SAMPLE_RATE_HZ, Media
from mmat.media.windows import ArrayStream, HeldWindows, MediaStream, WindowSpec
from mmat.metrics.decisions import check_hysteresis, confidence, to_events
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.tagging.merge import MelStrip, WindowMerger
from mmat.tagging.result import AUDIO, BOTH, VIDEO, Tag, Tagging, TimedTag

SOUND_MODEL, IMAGE_MODEL = "yamnet", "efficientnet_lite0"
GUESS_BELOW = 0.8  # cosine of a name that may be wrong: 6 of 7 wrong ones of ESC-50's labels are


def load(
    path: str | os.PathLike | None = None,
    labels: str | Iterable[str] | LabelSet | None = None,
    hop_seconds: float | None = None,
    sound_model: str = SOUND_MODEL,
    image_model: str = IMAGE_MODEL,
    float32_mel: bool = False,
) -> "Tagger":
    """Return a tagger: of the model in a folder, or, without one, of any labels untrained.

    With nothing at all it knows the 521 names of AudioSet that YAMNet hears, and looks for those
    of them that the image network has names for.

    path: the folder of a trained model, as `mmat.save` and the training scripts leave it, or what
    `mmat export` made of one, which loads faster: a SavedModel's folder, or a LiteRT file, which
    needs no TensorFlow. labels: names, or a text as
    `mmat.models.asked.parse_label_set` reads it: names separated by `;`, a label file, or a
    named set such as `dcase2017`; see `mmat.models.names`. hop_seconds: from one window of
    a long file to the next. sound_model, image_model: with labels, the pretrained networks:
    `yamnet`, `yamnet_hub` or a handle of a network in YAMNet's form, and a name of
    `mmat.pretrained.registry.IMAGE_NETWORKS`. float32_mel: compute the log-mel of a trained
    model in float32, which is faster, where training took float64; see
    `mmat.models.features.with_float32_mel`. Raises InputError for a folder that holds no model,
    or an export where `float32_mel` is asked, for labels that cannot be read, and where
    pretrained weights were not fetched.

    >>> tagger = load(labels="Dog;Train horn")
    >>> tagger.labels
    ('Dog', 'Train horn')
    >>> import numpy as np
    >>> tagger.tag(np.zeros(16000, "float32"))  # or a file; print it for tables
    <Tagging of waveform, 1.0 s: nothing fired>
    """
    if path is not None and labels is not None:
        raise InputError("load: name either a model's folder, or labels, or nothing")
    if path is not None:
        return Tagger(path, hop_seconds, float32_mel)
    return _untrained(_label_set(labels), sound_model, image_model, hop_seconds)


@dataclasses.dataclass(frozen=True)
class EventRules:
    """How frame scores become events.

    median_filter_seconds: runs and gaps shorter than half of it are smoothed away. hysteresis:
    an event that reaches its threshold lasts while its score is above this share of it;
    where a task has no thresholds, leave it at 1. Raises InputError for values out of range.
    """

    median_filter_seconds: float = 0.0
    hysteresis: float = 1.0

    def __post_init__(self):
        if not 0 < self.hysteresis <= 1:
            raise InputError(f"hysteresis: {self.hysteresis} is no share above 0 and up to 1")
        if not 0 <= self.median_filter_seconds < np.inf:
            seconds = self.median_filter_seconds
            raise InputError(f"median_filter_seconds: {seconds:g} s is no duration")


class Guess(NamedTuple):
    """What a label is taken for where no known name is near: a name of `sound` or `image`."""

    label: str
    sense: str
    name: str
    cosine: float


class Tagger:
    """Tags files and waveforms with a model, trained or exported, from its folder or its file.

    labels: the classes' names; thresholds: float32 `(classes,)`; clip_seconds: the length of the
    windows that longer files are cut into; hop_seconds: from one window to the next, half of that
    if not given; inputs: the names of what the model takes; task: what its outputs are, an
    `mmat.labels.Task`; unmapped: labels that no name of a pretrained network is near to, which
    therefore never fire. float32_mel: as of `load`.
    Raises InputError for a folder or a file that holds no model, or a damaged one.

    >>> import tempfile
    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> from mmat.models.bundle import Bundle
    >>> from mmat.export.savedmodel import export_saved_model
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), thresholds=[0.0, 1.0])
    >>> tagger = Tagger(export_saved_model(bundle, tempfile.mkdtemp() + "/export"))
    >>> tagging = tagger.tag(np.zeros(16000, "float32"))
    >>> tagging.tags[0].label, tagging.frame_scores.shape
    ('Dog', (10, 2))
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        hop_seconds: float | None = None,
        float32_mel: bool = False,
    ):
        self._set_model(load_served(folder, float32_mel), hop_seconds)

    @classmethod
    def of(cls, bundle, hop_seconds: float | None = None) -> "Tagger":
        """Return the tagger of a bundle in memory; nothing is written."""
        from mmat.export.savedmodel import serve

        return cls.asking(GraphModel(serve(bundle)), hop_seconds)

    @classmethod
    def asking(cls, model: ServedModel, hop_seconds: float | None = None) -> "Tagger":
        """Return the tagger that asks a model, whatever computes that."""
        tagger = cls.__new__(cls)
        tagger._set_model(model, hop_seconds)
        return tagger

    def _set_model(self, model: ServedModel, hop_seconds: float | None) -> None:
        self._model, self._maps, self.inputs = model, model.label_maps, model.inputs
        facts = model.facts
        self.labels, self.task = facts.labels.names, facts.labels.task
        self.thresholds, self.clip_seconds = facts.thresholds, facts.clip_seconds
        self.n_frames, self.image_size_px = facts.n_frames, facts.image_size_px
        half = max(self.clip_seconds / 2, 1 / FRAME_HZ)
        hop = half if hop_seconds is None else hop_seconds
        if not 1 / FRAME_HZ <= hop <= self.clip_seconds:
            raise InputError(
                f"hop of {hop:g} s: windows of {self.clip_seconds:g} s follow each other by "
                f"{1 / FRAME_HZ:g} s at least, and by their length at most"
            )
        self.hop_seconds = round(hop * FRAME_HZ) / FRAME_HZ

    @property
    def unmapped(self) -> tuple[str, ...]:
        """The labels that no name of a pretrained network is near to, if untrained."""
        if "sound_weights" not in self._maps:
            return ()
        weights = [x for name, x in self._maps.items() if name.endswith("_weights")]
        near = np.any([each.any(axis=0) for each in weights], axis=0)
        # A model that has learnt may fire for labels without a name too.
        never = ~near & (self.thresholds >= NEVER_FIRES)
        return tuple(label for label, yes in zip(self.labels, never, strict=True) if yes)

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """The labels whose nearest name by ear or by eye is not near enough to be sure of it."""
        found = []
        for sense in ("sound", "image"):
            similarities = self._maps.get(f"{sense}_similarities")
            if similarities is None or not len(similarities):
                continue
            for label, which, cosine in zip(
                self.labels, similarities.argmax(axis=0), similarities.max(axis=0), strict=True
            ):
                if 0 < cosine < GUESS_BELOW:
                    name = self._maps[f"{sense}_labels"][which].decode()
                    found.append(Guess(label, sense, name, float(cosine)))
        return tuple(found)

    def tag(
        self,
        file: str | os.PathLike | np.ndarray | Media | HeldWindows,
        rules: EventRules = EventRules(),
        with_mel: bool = False,
        progress: Callable[[float, float], None] | None = None,
    ) -> Tagging:
        """Tag a media file, or a waveform `(samples,)`, 16 kHz mono in [-1, 1].

        A file longer than a clip of training is cut into overlapping windows of that length, the
        last one aligned at the end: a class has the highest score of all windows (classes that
        exclude each other, and values, their mean), and frame scores fade from window to window.
        Memory does not grow with the file, except for the frame scores. What was lost
        or changed in reading it, `problem` says. A model of both senses works with
        either sound or pictures alone. Media are tagged as if they were the file that they were
        read from; windows that are held, which were cut by `window_spec`, exactly as that file.

        with_mel: keep the log-mel for a plot. progress: called with the seconds that are done and
        those that the file promises.
        Raises InputError for a file that cannot be read or lacks what the model needs, and for a
        hysteresis where the task has no thresholds.
        """
        check_hysteresis(self.task, rules.hysteresis)
        stream, name = self._stream(file)
        merger = WindowMerger(self.task, self.thresholds, self._maps)
        mel = MelStrip() if with_mel else None
        with stream:
            for window in stream:
                self._check(window.media, name or "the clip")
                merger.add(window, self.predict(window.media))
                if mel is not None:
                    mel.add(window)
                if progress is not None:
                    progress(merger.seconds, stream.seconds)
            tagging = self._tagging(name, merger, rules, stream.aspect)
        return dataclasses.replace(
            tagging, problem=stream.problem, log_mel=None if mel is None else mel.result()
        )

    @property
    def window_spec(self) -> WindowSpec:
        """The windows that this model hears and sees of a file."""
        return WindowSpec(
            self.clip_seconds, self.hop_seconds, self.n_frames, self.image_size_px or None
        )

    def _stream(self, file) -> tuple[ArrayStream | HeldWindows | MediaStream, str]:
        """Return the windows of what `tag` takes, and the file's name, empty for arrays."""
        if isinstance(file, HeldWindows):
            return file, ""
        if isinstance(file, np.ndarray | Media):
            return ArrayStream(file, self.window_spec), ""
        return MediaStream(file, self.window_spec), os.fspath(file)

    def predict(self, media: Media) -> dict[str, np.ndarray]:
        """Return the model's outputs for sound and pictures as one clip, without the batch axis."""
        # Pictures may last longer than the sound: the frame scores follow the longer of the two.
        n_samples = max(1, round(media.duration_seconds * SAMPLE_RATE_HZ))
        waveform = np.zeros((1, n_samples, 1), np.float32)
        if media.waveform is not None:
            heard = media.waveform[:n_samples]
            waveform[0, : len(heard), 0] = heard
        if media.frames is None and "waveform" in self.inputs:
            # The same outputs, and the image network need not look at a black picture.
            outputs = self._model.audio_only(waveform)
        else:
            black = np.zeros((1, 8, 8, 3), np.uint8)
            inputs = {
                "waveform": waveform,
                "frames": (black if media.frames is None else media.frames)[np.newaxis],
                "has_audio": np.array([media.waveform is not None]),
                "has_video": np.array([media.frames is not None]),
            }
            outputs = self._model.serve(**{name: inputs[name] for name in self.inputs})
        return {name: output[0] for name, output in outputs.items()}

    def _check(self, media: Media, name: str) -> None:
        if "waveform" not in self.inputs and media.frames is None:
            raise InputError(f"{name}: no picture track, and this model looks at pictures alone")

    def _tagging(
        self, name: str, merger: WindowMerger, rules: EventRules, aspect: float
    ) -> Tagging:
        """Return the record of a file whose windows are merged."""
        clip, fired = merger.outputs["clip"], merger.decided()
        frame_scores = merger.frame_scores()
        # A branch whose sense is absent has no score, which is not the same as 0.
        branches = {sense: merger.outputs[sense] for sense in merger.has if sense in merger.outputs}
        sure = confidence(self.task, clip, self.thresholds)
        order = range(len(clip)) if self.task.is_regression else np.lexsort((-clip, -sure, ~fired))
        return Tagging(
            file=name,
            duration_seconds=merger.seconds,
            labels=self.labels,
            thresholds=self.thresholds,
            clip_scores=clip,
            frame_scores=frame_scores,
            fired=fired,
            tags=tuple(self._tag(c, clip[c], fired[c], branches) for c in order),
            events=tuple(
                dataclasses.replace(event, confidence=self._confidence(event.label, event.score))
                for event in self._events(frame_scores, fired, merger, rules)
            ),
            has_audio=merger.has[AUDIO],
            has_video=merger.has[VIDEO],
            reasons=merger.explanations.reasons(self.labels),
            pictures=merger.pictures(fired, self.labels, aspect),
            task=self.task,
        )

    def _tag(self, c: int, score, fired, branches: dict[str, np.ndarray]) -> Tag:
        by_branch = {f"{sense}_score": float(scores[c]) for sense, scores in branches.items()}
        sure = self._confidence(self.labels[c], score)
        return Tag(self.labels[c], float(score), bool(fired), **by_branch, confidence=sure)

    def _confidence(self, label: str, score: float) -> float | None:
        if self.task.is_regression:
            return None
        return float(confidence(self.task, score, self.thresholds[self.labels.index(label)]))

    def _events(self, frame_scores, fired, merger: WindowMerger, rules: EventRules) -> tuple:
        alone, has_sound = merger.decided_alone(), merger.has_sound()
        n_filtered = 2 * (round(rules.median_filter_seconds * FRAME_HZ) // 2) + 1
        smoothing = 1 / FRAME_HZ, n_filtered, rules.hysteresis
        events = []
        for c, onset, offset, score in to_events(
            self.task, frame_scores, self.thresholds, fired, *smoothing
        ):
            frames = slice(round(onset * FRAME_HZ), round(offset * FRAME_HZ))
            heard, seen = (alone[sense][frames, c].any() for sense in (AUDIO, VIDEO))
            by = modality(heard, seen, merger.timed_by_sound[c] and has_sound[frames].any())
            offset = min(offset, round(merger.seconds, 6))
            events.append(TimedTag(self.labels[c], onset, offset, score, by))
        return tuple(events)


def modality(heard: bool, seen: bool, timed_by_sound: bool) -> str:
    """Return whose an event is: one sense's, or `both`, also where neither alone would decide so.

    heard, seen: whether a sense's own scores reach the decision; timed_by_sound: whether the event
    is when it sounds. A picture makes such a one surer, and does not make it by itself.

    >>> modality(True, False, True), modality(False, True, True), modality(False, True, False)
    ('audio', 'both', 'video')
    """
    if heard == seen or (seen and timed_by_sound):
        return BOTH
    return AUDIO if heard else VIDEO


def _untrained(labels: LabelSet, sound_model: str, image_model: str, hop_seconds) -> Tagger:
    """Return the tagger of any labels; of the embedded networks it needs no TensorFlow."""
    from mmat.export.untrained_file import IMAGE_NETWORK, SOUND_NETWORK, untrained_tagger
    from mmat.pretrained.registry import audio_encoder, image_network

    sound, image = audio_encoder(sound_model), image_network(image_model)
    if (sound, image) == (SOUND_NETWORK, IMAGE_NETWORK):
        from mmat.models.name_maps import name_maps

        served = untrained_tagger(name_maps(labels, sound, image))
        if served is not None:
            return Tagger.asking(served, hop_seconds)
    from mmat.models.names import zero_shot_bundle

    return Tagger.of(zero_shot_bundle(labels, sound, image_model), hop_seconds)


def _label_set(labels: str | Iterable[str] | LabelSet | None) -> LabelSet:
    from mmat.models.asked import heard_label_set, parse_label_set

    if labels is None:
        return heard_label_set()
    if isinstance(labels, LabelSet):
        return labels
    return parse_label_set(labels) if isinstance(labels, str) else LabelSet.of(labels)
