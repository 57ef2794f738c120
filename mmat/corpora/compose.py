"""Plan weakly labelled clips: which recordings sound when, over which noise, with which pictures.

A plan is pure data, made from a seed alone; `mmat.corpora.render` turns it into media files.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

CLIP_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Sound:
    """One event of a clip: a recording, when it starts, and how it is changed.

    excerpt: where in a long recording the excerpt is taken, in [0, 1]. onset: where in the room
    that the clip leaves for it the event starts, in [0, 1]. speed: 1.1 is a tenth faster and
    higher. tilt_db: a filter's gain at the highest frequency against the lowest. cutoff_hz: a
    low-pass filter's edge, 0 for none.
    """

    recording: str
    label: str
    excerpt: float
    onset: float
    level_db: float
    speed: float = 1.0
    tilt_db: float = 0.0
    cutoff_hz: float = 0.0


@dataclasses.dataclass(frozen=True)
class Picture:
    """The picture track: an object (or none) before a scene, both moving slowly.

    kind: `sounding`, `silent` or `scenery`. The moves are start and end of the view's centre and
    zoom, each in [0, 1].
    """

    kind: str
    scene: str
    subject: str = ""
    scene_move: tuple[float, ...] = ()
    subject_move: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class ClipPlan:
    """Everything that a composed clip holds; a clip that lacks a track keeps its labels."""

    id: str
    split: str
    sounds: tuple[Sound, ...]
    noise: str
    noise_excerpt: float
    noise_db: float
    picture: Picture
    has_audio: bool
    has_video: bool

    @property
    def labels(self) -> tuple[str, ...]:
        """The weak labels, each once, in order of appearance in `sounds`."""
        return tuple(dict.fromkeys(sound.label for sound in self.sounds))


@dataclasses.dataclass(frozen=True)
class Composition:
    """What the clips are like; levels in decibels against an event's nominal level."""

    two_classes: float = 0.5
    max_events: int = 3
    event_level_db: tuple[float, float] = (-6.0, 6.0)
    noise_level_db: tuple[float, float] = (-20.0, -5.0)
    sounding_picture: float = 0.6
    silent_picture: float = 0.2
    no_video: float = 0.1
    no_audio: float = 0.03
    train_speed: tuple[float, float] = (0.85, 1.18)
    train_tilt_db: float = 9.0
    # Old recordings end at 4 or 5.5 kHz; without this, bandwidth would reveal the package.
    train_low_pass: float = 0.5
    train_cutoff_hz: tuple[float, float] = (2000.0, 8000.0)


class _Material:
    """The sources of one split, and the balanced order of its classes."""

    def __init__(self, sources: Sequence, split: str, rng: np.random.Generator):
        mine = [source for source in sources if source.split == split]
        self.rng = rng
        self.recordings = self._by_label(mine, "recording")
        self.photographs = self._by_label(mine, "photograph")
        self.distractors = [source.id for source in mine if source.kind == "distractor"]
        self.scenery = [source.id for source in mine if source.kind == "scenery"]
        self.noise = [source.id for source in mine if source.kind == "noise"]
        self.labels = sorted(self.recordings)
        self.turns = self._turns()

    @staticmethod
    def _by_label(sources: Sequence, kind: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for source in sources:
            if source.kind == kind:
                found.setdefault(source.label, []).append(source.id)
        return found

    def _turns(self) -> Iterator[str]:
        while True:
            yield from (self.labels[i] for i in self.rng.permutation(len(self.labels)))

    def one_of(self, items: Sequence[str]) -> str:
        return items[self.rng.integers(len(items))]


def plan_clips(
    sources: Sequence,
    split: str,
    n_clips: int,
    seed: int = 0,
    composition: Composition = Composition(),
) -> list[ClipPlan]:
    """Plan `n_clips` clips of one split from that split's sources alone.

    sources: records with `kind`, `id`, `label` and `split` (`mmat.corpora.sources.SourceFile`).
    Every class comes first in equally many clips (±1); speed and filters change in the training
    split alone. The same seed gives the same plans everywhere.
    """
    rng = np.random.default_rng([seed, sum(split.encode())])
    material = _Material(sources, split, rng)
    return [
        _plan_clip(f"{split}-{i:05d}", split, material, rng, composition) for i in range(n_clips)
    ]


def _plan_clip(
    clip_id: str,
    split: str,
    material: _Material,
    rng: np.random.Generator,
    composition: Composition,
) -> ClipPlan:
    first = next(material.turns)
    labels = [first]
    others = [label for label in material.labels if label != first]
    if rng.random() < composition.two_classes and others:
        labels.append(material.one_of(others))
    n_events = rng.integers(len(labels), composition.max_events + 1)
    labels += [material.one_of(labels) for _ in range(n_events - len(labels))]
    sounds = tuple(_plan_sound(label, split, material, rng, composition) for label in labels)
    lost = rng.random()
    return ClipPlan(
        id=clip_id,
        split=split,
        sounds=sounds,
        noise=material.one_of(material.noise),
        noise_excerpt=float(rng.random()),
        noise_db=float(rng.uniform(*composition.noise_level_db)),
        picture=_plan_picture(dict.fromkeys(labels), material, rng, composition),
        has_audio=not lost < composition.no_audio,
        has_video=not composition.no_audio <= lost < composition.no_audio + composition.no_video,
    )


def _plan_sound(label, split, material, rng, composition) -> Sound:
    speed, tilt_db, cutoff_hz = 1.0, 0.0, 0.0
    if split == "train":
        speed = _log_uniform(rng, composition.train_speed)
        tilt_db = float(rng.uniform(-composition.train_tilt_db, composition.train_tilt_db))
        if rng.random() < composition.train_low_pass:
            cutoff_hz = _log_uniform(rng, composition.train_cutoff_hz)
    return Sound(
        recording=material.one_of(material.recordings[label]),
        label=label,
        excerpt=float(rng.random()),
        onset=float(rng.random()),
        level_db=float(rng.uniform(*composition.event_level_db)),
        speed=speed,
        tilt_db=tilt_db,
        cutoff_hz=cutoff_hz,
    )


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    # Rounded, since the last digit of an exponential differs between processors and libraries, and
    # the plans must not.
    return round(math.exp(rng.uniform(*map(math.log, bounds))), 6)


def _plan_picture(labels, material, rng, composition) -> Picture:
    kind = rng.choice(
        ["sounding", "silent", "scenery"],
        p=[
            composition.sounding_picture,
            composition.silent_picture,
            1.0 - composition.sounding_picture - composition.silent_picture,
        ],
    )
    if kind == "sounding":
        subject = material.one_of(material.photographs[material.one_of(list(labels))])
    elif kind == "silent":
        # Half of the silent things are of a class that sounds in other clips: a silent dog.
        mute = [label for label in material.labels if label not in labels]
        photographs = material.photographs[material.one_of(mute)] if mute else material.distractors
        subject = material.one_of(photographs if rng.random() < 0.5 else material.distractors)
    else:
        subject = ""
    return Picture(
        kind=str(kind),
        scene=material.one_of(material.scenery),
        subject=subject,
        scene_move=tuple(float(x) for x in rng.random(6)),
        subject_move=tuple(float(x) for x in rng.random(6)),
    )
