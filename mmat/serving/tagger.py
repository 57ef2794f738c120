"""Tag media files with an exported model; of the model's side, TensorFlow alone is used here."""

import dataclasses
import os
import pathlib

import numpy as np

from mmat.data.media import SAMPLE_RATE_HZ, Media, read_media
from mmat.errors import InputError
from mmat.metrics.events import frames_to_events
from mmat.serving.windows import FRAME_HZ, merge_frames, waveform_reader, windows

SIGNATURES = {"serving_default", "labels"}


@dataclasses.dataclass(frozen=True)
class Tag:
    """One class of one file: its score, whether it fired, and what each branch said (or None)."""

    label: str
    score: float
    fired: bool
    audio_score: float | None = None
    video_score: float | None = None


@dataclasses.dataclass(frozen=True)
class TimedTag:
    """A stretch of time in which a class that fired reaches its threshold; score: its peak."""

    label: str
    onset_seconds: float
    offset_seconds: float
    score: float


@dataclasses.dataclass(frozen=True)
class Tagging:
    """What a file holds.

    file: its path, empty for an array. clip_scores: float32 `(classes,)`; frame_scores: float32
    `(time, classes)` at 10 Hz; fired: bool `(classes,)`, all three in the label set's order.
    tags: every class, those that fired first, then by score. events: by onset.
    """

    file: str
    duration_seconds: float
    clip_scores: np.ndarray
    frame_scores: np.ndarray
    fired: np.ndarray
    tags: tuple[Tag, ...]
    events: tuple[TimedTag, ...]
    has_audio: bool
    has_video: bool


class Tagger:
    """Tags files and waveforms with a SavedModel that `mmat.serving.export` wrote.

    labels: the classes' names; thresholds: float32 `(classes,)`; clip_seconds: the length of the
    windows that longer files are cut into; inputs: the names of what the model takes.
    Raises InputError for a folder that holds no such export, or a damaged one.

    >>> import tempfile
    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> from mmat.models.bundle import Bundle
    >>> from mmat.serving.export import export_saved_model
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), thresholds=[0.0, 1.0])
    >>> tagger = Tagger(export_saved_model(bundle, tempfile.mkdtemp() + "/export"))
    >>> tagging = tagger.tag(np.zeros(16000, "float32"))
    >>> tagging.tags[0].label, tagging.frame_scores.shape
    ('Dog', (10, 2))
    """

    def __init__(self, folder: str | os.PathLike):
        # The model is held here: without it its signatures lose their variables.
        self._model = _load(pathlib.Path(folder))
        self._answer = self._model.signatures["serving_default"]
        facts = {name: fact.numpy() for name, fact in self._model.signatures["labels"]().items()}
        self.labels = tuple(name.decode() for name in facts["labels"])
        self.thresholds = facts["thresholds"]
        self.clip_seconds = float(facts["clip_seconds"])
        self.n_frames, self.image_size_px = int(facts["n_frames"]), int(facts["image_size_px"])
        self.inputs = frozenset(self._answer.structured_input_signature[1])

    def tag(self, file: str | os.PathLike | np.ndarray) -> Tagging:
        """Say what sounds in a media file, or in a waveform `(samples,)`, 16 kHz mono in [-1, 1].

        A file longer than a clip of training is cut into windows of that length, the last one
        aligned at the end: a class has the highest score of all windows, and the mean frame score
        where windows overlap. A file that is damaged further on is tagged up to there. A model of
        both senses works with either sound or pictures alone.
        Raises InputError for a file that cannot be read or lacks what the model needs.
        """
        if isinstance(file, np.ndarray):
            name, read = "", waveform_reader(file)
        else:
            name, read = os.fspath(file), self._reader(file)
        if "waveform" not in self.inputs:
            read = _only_with_pictures(read, name or "waveform")
        parts = [
            (start, media, self._ask(media)) for start, media in windows(read, self.clip_seconds)
        ]
        return self._tagging(name, parts)

    def _reader(self, file: str | os.PathLike):
        return lambda start_seconds, end_seconds: read_media(
            file,
            start_seconds,
            end_seconds,
            n_frames=self.n_frames,
            square_px=self.image_size_px or None,
        )

    def _ask(self, media: Media) -> dict[str, np.ndarray]:
        """Return the model's answers to one window, without the batch axis."""
        import tensorflow as tf

        # Pictures may last longer than the sound: the frame scores follow the longer of the two.
        n_samples = max(1, round(media.duration_seconds * SAMPLE_RATE_HZ))
        waveform = np.zeros((1, n_samples, 1), np.float32)
        if media.waveform is not None:
            heard = media.waveform[:n_samples]
            waveform[0, : len(heard), 0] = heard
        black = np.zeros((1, 8, 8, 3), np.uint8)
        inputs = {
            "waveform": waveform,
            "frames": (black if media.frames is None else media.frames)[np.newaxis],
            "has_audio": np.array([media.waveform is not None]),
            "has_video": np.array([media.frames is not None]),
        }
        answers = self._answer(**{name: tf.constant(inputs[name]) for name in self.inputs})
        return {name: answer.numpy()[0] for name, answer in answers.items()}

    def _tagging(self, name: str, parts: list[tuple[float, Media, dict]]) -> Tagging:
        """Join the answers to the windows of one file."""
        best = {
            key: np.max([answers[key] for *_, answers in parts], axis=0)
            for key in parts[0][2]
            if key != "frame"
        }
        frame_scores = merge_frames(
            [(start, media.duration_seconds, answers["frame"]) for start, media, answers in parts]
        )
        seconds = parts[-1][0] + parts[-1][1].duration_seconds
        has = {
            "audio": any(media.waveform is not None for _, media, _ in parts),
            "video": any(media.frames is not None for _, media, _ in parts),
        }
        # A branch that had nothing to go by said nothing, which is not the same as 0.
        said = {sense: best[sense] for sense in has if has[sense] and sense in best}
        fired = best["fired"]
        order = np.lexsort((-best["clip"], ~fired))
        return Tagging(
            file=name,
            duration_seconds=seconds,
            clip_scores=best["clip"],
            frame_scores=frame_scores,
            fired=fired,
            tags=tuple(self._tag(c, best["clip"][c], fired[c], said) for c in order),
            events=self._events(frame_scores, fired, seconds),
            has_audio=has["audio"],
            has_video=has["video"],
        )

    def _tag(self, c: int, score, fired, said: dict[str, np.ndarray]) -> Tag:
        branches = {f"{sense}_score": float(scores[c]) for sense, scores in said.items()}
        return Tag(self.labels[c], float(score), bool(fired), **branches)

    def _events(self, frame_scores, fired, seconds: float) -> tuple[TimedTag, ...]:
        found = frames_to_events(frame_scores, self.thresholds, 1 / FRAME_HZ)
        return tuple(
            TimedTag(self.labels[c], onset, min(offset, round(seconds, 6)), score)
            for c, onset, offset, score in found
            if fired[c]
        )


def _only_with_pictures(read, name: str):
    """Wrap a reader so that what has no pictures is bad input."""

    def checked(start_seconds: float, end_seconds: float) -> Media:
        media = read(start_seconds, end_seconds)
        if media.frames is None:
            raise InputError(f"{name}: no picture track, and this model looks at pictures alone")
        return media

    return checked


def _load(folder: pathlib.Path):
    """Load an export; raises InputError for what is none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one that `mmat export` wrote")
    if (folder / "model.keras").is_file():
        raise InputError(
            f"{folder}: a trained model that is not exported yet; run "
            f"`mmat export {folder} --out EXPORT` and name that folder"
        )
    if not (folder / "saved_model.pb").is_file():
        raise InputError(f"{folder}: no exported model here; name a folder `mmat export` wrote")
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(folder))
    # File system, checkpoint and protocol buffer each bring exceptions of their own.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: a damaged export: {reason}; export it again") from error
    if not set(getattr(model, "signatures", ())) >= SIGNATURES:
        raise InputError(f"{folder}: a SavedModel, but not one that `mmat export` wrote")
    return model
