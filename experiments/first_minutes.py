"""What a first user meets: when something sounds, and which of few or many labels it is.

All of it is of taggers without training, and of the one that learns from names. Commands:

    python experiments/first_minutes.py when    the mini corpus: onsets and offsets of the sound
                                                alone, and of both senses with the picture held
                                                (as before) or timed by the sound
    python experiments/first_minutes.py broad   recordings by name: sets of 2, 10, 34 and 521
                                                labels, with and without competition
    python experiments/first_minutes.py short   recordings shorter than YAMNet's window, at its
                                                beginning, in its middle, and repeated

They take 1 to 9 minutes on 2 cores, without preparing the mini corpus, and print the tables of
docs/zero_shot.md. Choices were made on validation and training clips, and on Debian's recordings of
sounds without Scratch's. Test clips were looked at once, of the learnt tagger twice; Scratch's
recordings, some of which made the question, beside the others.
"""

import argparse
import itertools
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

import dcase_util
import keras
import numpy as np
import sed_eval
import tabulate

import mmat
from experiments.common import between, script
from experiments.mini import prepare_shards
from mmat.corpora.debian import download_packages
from mmat.corpora.mini import mini_groups, mini_labels
from mmat.corpora.package_files import iter_members
from mmat.corpora.sounds import fetch_sounds, read_sounds
from mmat.files import cache_folder
from mmat.labels import MULTI_LABEL, LabelSet
from mmat.media.read import read_audio
from mmat.metrics.bootstrap import mean_difference
from mmat.metrics.decisions import to_events
from mmat.metrics.events import segment_f1
from mmat.metrics.thresholds import fire
from mmat.models.bundle import Bundle
from mmat.models.features import PatchesToFrames
from mmat.models.fusion import Competing, LogitsTimedBySound
from mmat.models.kin import all_above, kin_pairs
from mmat.models.names import THRESHOLD, zero_shot_bundle
from mmat.models.predict import Predictor
from mmat.pretrained.registry import yamnet
from mmat.shards.read import MODEL_INPUTS, read_arrays
from mmat.tagging.tagger import Tagger
from mmat.training.learn import learn

CLIP_SECONDS, N_SEGMENTS = 10.0, 10
SHIFTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)  # log-odds
SIZES, N_SETS = (2, 10, 34, 521), 8  # labels in a set, and sets drawn for each recording
ALONE, HELD, TIMED = "the sound alone", "both, the picture held", "both, timed by the sound"
SCRATCH = "usr/share/scratch/Media/Sounds"
# Scratch's recordings by what their files are called, as AudioSet names it.
NAMED = {
    "Animal": """Bird.wav=Bird Cat.mp3=Cat Cricket.wav=Cricket Crickets.wav=Cricket Dog1.wav=Dog
        Dog2.wav=Dog Duck.wav=Duck Goose.wav=Goose Horse.wav=Horse HorseGallop.wav=Clip-clop
        Kitten.wav=Meow Meow.wav=Meow Owl.wav=Owl Rooster.wav=Chicken,_rooster WolfHowl.wav=Howl""",
    "Effects": """BellToll.wav=Bell Bubbles.wav=Gurgling CarPassing.wav=Car DoorClose.mp3=Door
        DoorCreak.wav=Door MotorcyclePassing.wav=Motorcycle Plunge.wav=Splash,_splatter
        Rattle.wav=Rattle SewingMachine.mp3=Sewing_machine Typing.mp3=Typing WaterDrop.mp3=Drip
        WaterRunning.mp3=Water""",
    "Human": """BabyCry.mp3=Baby_cry,_infant_cry Cough-female.wav=Cough Cough-male.wav=Cough
        FingerSnap.wav=Finger_snapping Footsteps-1.wav=Walk,_footsteps
        Footsteps-2.mp3=Walk,_footsteps Laugh-female.wav=Laughter Laugh-male1.wav=Laughter
        Laugh-male2.wav=Laughter Laugh-male3.mp3=Laughter Scream-female.wav=Screaming
        Scream-male1.wav=Screaming Scream-male2.mp3=Screaming Sneeze-female.wav=Sneeze
        Sneeze-male.wav=Sneeze""",
    "Instruments": """Dijjeridoo.mp3=Didgeridoo GuitarStrum.wav=Guitar Trumpet1.wav=Trumpet
        Trumpet2.wav=Trumpet""",
    "Percussion": """CymbalCrash.wav=Cymbal Gong.wav=Gong HandClap.wav=Clapping
        RideCymbal.wav=Cymbal Shaker.wav=Rattle""",
    "Vocals": """BeatBox1.wav=Beatboxing BeatBox2.wav=Beatboxing Come-and-play.mp3=Speech
        Got-inspiration.mp3=Speech Join-us.mp3=Speech Sing-me-a-song.mp3=Singing
        Singer1.wav=Singing Singer2.wav=Singing Ya.wav=Speech""",
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["when", "broad", "short"], help="which tables to print")
    {"when": show_when, "broad": show_broad, "short": show_short}[parser.parse_args(argv).what]()


# When: onsets and offsets on the mini corpus.


class Timed(NamedTuple):
    """What a system says of clips: which labels fired, and scores of frames at 10 Hz."""

    fired: np.ndarray  # bool (clips, classes)
    frames: np.ndarray  # (clips, time, classes)
    thresholds: np.ndarray

    def events(self) -> list[list]:
        """The events of each clip."""
        return [
            to_events(MULTI_LABEL, frames, self.thresholds, fired)
            for frames, fired in zip(self.frames, self.fired, strict=True)
        ]


def show_when() -> None:
    """Print how far a picture may move what is heard, and what comes of it on test."""
    labels = mini_labels()
    shards = prepare_shards(labels)
    inputs = [*MODEL_INPUTS, "image_embeddings"]
    splits = ("train", "validation", "test")
    data = {split: read_arrays(shards, split, inputs=inputs) for split in splits}
    systems = {
        "names alone": zero_shot_bundle(LabelSet.of(labels.names)),
        "with synonyms": zero_shot_bundle(labels),
        "learnt": learn(mmat.open_corpus(shards)).bundle,
    }
    chosen, rows = [], []
    for name, bundle in systems.items():
        predictor = Predictor(with_held_frames(bundle.model))
        for split in ("train", "validation"):
            if (name, split) != ("learnt", "train"):  # on which it learnt
                outputs = predictor(data[split])
                f1 = [segments(data[split], shifted(outputs, most, bundle)).f1 for most in SHIFTS]
                chosen.append([f"{name}, {split}", *(100 * each for each in f1)])
        rows += [[name, *row] for row in test_rows(bundle, data["test"], predictor(data["test"]))]
    head = ["segment F1, % by the most that a picture shifts", *map(str, SHIFTS)]
    print(tabulate.tabulate(chosen, head, floatfmt=".1f", tablefmt="github"))
    head = ["test, %", "", "segment F1", "precision", "recall", "event F1, 200 ms", "1 s"]
    head += ["over the sound alone, by clip", "by source group", "fired without an event"]
    print("\n" + tabulate.tabulate(rows, head, floatfmt=".1f", tablefmt="github"))


def with_held_frames(model: keras.Model) -> keras.Model:
    """The same with an output `held`: frames in which each picture counts for its time alone."""
    timed = next(x for x in model.layers if isinstance(x, LogitsTimedBySound))
    held = timed.input[3]
    if type(timed) is LogitsTimedBySound:
        held = keras.ops.sigmoid(held)
    return keras.Model(model.input, model.output | {"held": held})


def shifted(outputs: dict, most: float, bundle: Bundle) -> Timed:
    """What both senses say where a picture shifts log-odds by `most` at most."""
    every = [True] * len(bundle.labels)
    logits = [keras.ops.convert_to_tensor(logit(outputs[x])) for x in ("audio_frame", "audio")]
    both = logit(outputs["clip"])
    frames = LogitsTimedBySound(every, most)([*logits, both, logits[0]])
    return Timed(
        fire(outputs["clip"], bundle.thresholds),
        1 / (1 + np.exp(-np.asarray(frames))),
        bundle.thresholds,
    )


def logit(scores: np.ndarray) -> np.ndarray:
    """Log-odds of scores, finite at 0 and 1."""
    scores = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(scores) - np.log1p(-scores)


def test_rows(bundle: Bundle, data: dict, outputs: dict) -> Iterator[list]:
    """A row a way to time events, the sound alone first."""
    thresholds, groups = bundle.thresholds, [mini_groups()[clip] for clip in data["ids"]]
    both, heard = (fire(outputs[name], thresholds) for name in ("clip", "audio"))
    ways = {
        ALONE: Timed(heard, outputs["audio_frame"], thresholds),
        HELD: Timed(both, outputs["held"], thresholds),
        TIMED: Timed(both, outputs["frame"], thresholds),
    }
    truth = data["events"]
    active = {name: (segment_activity(way.events(), len(bundle.labels)),) * 2
              for name, way in ways.items()}  # fmt: skip
    true = segment_activity(truth, len(bundle.labels))
    by = {"clip": np.repeat(np.arange(len(truth)), N_SEGMENTS).astype(str),
          "group": np.repeat(groups, N_SEGMENTS)}  # fmt: skip
    for name, way in ways.items():
        found, events = segments(data, way), way.events()
        gains = []
        for drawn in by.values():
            pair = [active[ALONE]], [active[name]]
            gain = mean_difference(true, *pair, groups=list(drawn))["f1"]
            gains.append("" if name == ALONE else f"{100 * gain.estimate:+.1f} "
                         f"({between([gain.low, gain.high], '+')})")  # fmt: skip
        collars = [100 * event_f1(truth, events, collar) for collar in (0.2, 1.0)]
        figures = [100 * x for x in (found.f1, found.precision, found.recall)]
        have = {(i, event.label_index) for i, own in enumerate(events) for event in own}
        yield [name, *figures, *collars, *gains, int(way.fired.sum()) - len(have)]


def segments(data: dict, timed: Timed):
    """Segment figures of one second, as sed_eval has them."""
    return segment_f1(data["events"], timed.events(), timed.fired.shape[1], CLIP_SECONDS)


def segment_activity(clips: list, n_classes: int) -> np.ndarray:
    """Which classes are active in which seconds: bool `(clips · seconds, classes)`."""
    active = np.zeros((len(clips), N_SEGMENTS, n_classes), bool)
    for clip, events in zip(active, clips, strict=True):
        for label, onset, offset, *_ in events:
            clip[int(onset) : int(np.ceil(offset)), int(label)] = True
    return active.reshape(-1, n_classes)


def event_f1(truth: list, found: list, collar_seconds: float) -> float:
    """sed_eval's F1 over events: onsets within the collar, offsets too or within half a length."""
    names = sorted({str(int(event[0])) for events in truth for event in events})
    metrics = sed_eval.sound_event.EventBasedMetrics(names, t_collar=collar_seconds)
    for clip, pair in enumerate(zip(truth, found, strict=True)):
        metrics.evaluate(*(_as_list(events, str(clip), names) for events in pair))
    return float(np.nan_to_num(metrics.results_overall_metrics()["f_measure"]["f_measure"]))


def _as_list(events, clip: str, names: list[str]):
    rows = [
        {
            "filename": clip,
            "event_label": str(int(label)),
            "event_onset": float(onset),
            "event_offset": float(offset),
        }
        for label, onset, offset, *_ in events
    ]
    return dcase_util.containers.MetaDataContainer(rows)


# Broad and narrow: recordings by name.


class Recording(NamedTuple):
    """A recording of what its file is called: waveform at 16 kHz and YAMNet's name."""

    id: str
    name: str
    waveform: np.ndarray


def scratch() -> list[Recording]:
    """Scratch's recordings whose names AudioSet knows; the package comes with the mini corpus."""
    named = {}
    for folder, text in NAMED.items():
        for entry in text.split():
            file, name = entry.split("=")
            named[f"{SCRATCH}/{folder}/{file}"] = name.replace("_", " ")
    package = download_packages(["scratch"], cache_folder() / "mini" / "debs")["scratch"]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for member, content in iter_members(package, named):
            path = pathlib.Path(folder, pathlib.Path(member).name)
            path.write_bytes(content)
            found.append(Recording(path.stem, named[member], read_audio(path)))
    return found


def sounds() -> list[Recording]:
    """Debian's recordings of eleven labels, without Scratch's."""
    folder = fetch_sounds()
    return [
        Recording(clip.id, clip.labels[0], read_audio(folder / clip.file))
        for clip in read_sounds()
        if "scratch" not in clip.source_group
    ]


def show_broad() -> None:
    """Print top-1, false fires and F1 of each size of a label set, by who competes with whom."""
    ways = {"nobody": None, "everybody (before)": False, "who is not kin": True}
    every = {"sounds": sounds(), "Scratch": scratch()}
    pool = sorted({one.name for found in every.values() for one in found} | {"Speech"})
    rows = []
    for title, recordings in every.items():
        heard = [heard_frames(one.waveform) for one in recordings]
        before = {}
        for (way, kin), size in itertools.product(ways.items(), SIZES):
            found = [
                judged(frames, one.name, asked, kin)
                for one, frames in zip(recordings, heard, strict=True)
                for asked in label_sets(one, size, pool)
            ]
            counts = np.array(found, float).reshape(len(recordings), -1, 3).sum(axis=1)
            # top-1, hits and false fires of each recording, over its sets
            before.setdefault(size, counts)
            if kin is False:
                before[size] = counts
            n_sets = len(found) // len(recordings)
            top, hits, false = counts.mean(axis=0) / n_sets
            gain = "" if not kin else gain_interval(before[size], counts, n_sets)
            rows.append(
                [title, size, way, 100 * top, 100 * hits, false, 100 * f1(counts, n_sets), gain]
            )
    rows.sort(key=lambda row: (row[0] == "Scratch", row[1]))
    head = ["", "labels", "competes with", "top-1, %", "recall, %", "false fires a file", "F1, %"]
    print(tabulate.tabulate(rows, [*head, "over before"], floatfmt=".1f", tablefmt="github"))
    show_laughter(every["Scratch"], pool)


def heard_frames(waveform: np.ndarray) -> np.ndarray:
    """What YAMNet hears at 10 Hz: `(1, time, 521)`, as the tagger's sound branch has it."""
    to_frames = PatchesToFrames(yamnet.hop_samples, yamnet.window_samples, hop_samples=1600)
    patches = yamnet.encode(waveform)[0][None]
    return np.asarray(to_frames([patches, waveform[None, :, None]]))


def label_sets(one: Recording, size: int, pool: list[str]) -> list[list[str]]:
    """Sets of labels with the recording's own and, but for pairs, Speech; the same for a name."""
    names = list(yamnet.labels())
    if size >= len(names):
        return [names]
    must = [one.name] + ["Speech"] * (size > 2 and one.name != "Speech")
    sets = []
    for seed in range(N_SETS):
        rng = np.random.default_rng([size, seed, names.index(one.name)])
        rest = [name for name in pool if name not in must]
        sets.append(must + rng.permutation(rest)[: size - len(must)].tolist())
    return sets


def judged(frames: np.ndarray, name: str, asked: list[str], kin: bool | None) -> list[int]:
    """Whether a recording's own label is the best, whether it fires, and how many others do.

    kin: whether kin do not compete; None: nobody does. What the own label is a kind of, or is a
    kind of it, is right as well.
    """
    names = yamnet.labels()
    frames = frames[..., [names.index(each) for each in asked]]
    if kin is not None:
        pairs = kin_pairs(np.eye(len(asked)), asked) if kin else ()
        frames = np.asarray(Competing(1.0, pairs)(frames))
    scores = frames[0].mean(axis=0)
    right = np.array([each in all_above(name) or name in all_above(each) for each in asked])
    own, fired = asked.index(name), fire(scores, THRESHOLD)
    is_best = right[scores.argmax()] if len(asked) == len(names) else scores.argmax() == own
    return [int(is_best), int(fired[own]), int((fired & ~right).sum())]


def f1(counts: np.ndarray, n_sets: int) -> float:
    """Micro F1 of counts `(recordings, 3)`: top-1, hits, false fires."""
    _, hits, false = counts.sum(axis=0)
    return 2 * hits / (hits + false + n_sets * len(counts))


def gain_interval(before: np.ndarray, after: np.ndarray, n_sets: int) -> str:
    """The gain in F1 with its 95 % interval over recordings."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(before), size=(2000, len(before)))
    gains = [f1(after[drawn], n_sets) - f1(before[drawn], n_sets) for drawn in rows]
    gain = f1(after, n_sets) - f1(before, n_sets)
    return f"{100 * gain:+.1f} ({between(np.percentile(gains, [2.5, 97.5]), '+')})"


def show_laughter(recordings: list[Recording], pool: list[str]) -> None:
    """Print what the real tagger hears of a label with and without a broad one beside it."""
    without = [name for name in pool if name != "Speech"]
    rows = []
    for asked in (without, pool):
        bundle = zero_shot_bundle(LabelSet.of(asked))
        tagger = Tagger.of(bundle)
        for name in ("Laughter", "Screaming", "Dog"):
            own = [one for one in recordings if one.name == name]
            fired = [bool(tagger.tag(one.waveform).fired[asked.index(name)]) for one in own]
            rows.append([name, f"{len(asked)} labels", "Speech" in asked, sum(fired), len(fired)])
    head = ["Scratch's", "asked among", "with Speech", "fired", "of"]
    print("\n" + tabulate.tabulate(rows, head, tablefmt="github"))


# Short: where a sound lies in the network's window.


def show_short() -> None:
    """Print how sure YAMNet is of what is shorter than its window, by where it is put."""
    n = yamnet.window_samples
    places: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "at the beginning": lambda x: x,
        "in the middle": lambda x: np.pad(x, ((n - len(x)) // 2, 0)),
        "at the end": lambda x: np.pad(x, (n - len(x), 0)),
        "repeated": lambda x: np.resize(x, n),
    }
    rows = []
    for title, recordings in (("sounds", sounds()), ("Scratch", scratch())):
        short = [one for one in recordings if len(one.waveform) < n]
        for where, place in places.items():
            scores = np.array([yamnet.encode(place(one.waveform))[0][0] for one in short])
            own = scores[np.arange(len(short)), [yamnet.labels().index(x.name) for x in short]]
            best = [yamnet.labels()[i] for i in scores.argmax(axis=1)]
            right = [x in all_above(y.name) for x, y in zip(best, short, strict=True)]
            rows.append([title, where, len(short), own.mean(), (own >= THRESHOLD).sum()])
            rows[-1] += [sum(right), best.count("Speech") - sum(x.name == "Speech" for x in short)]
    head = ["", "placed", "recordings", "own score", "own fires", "best is right", "wrong Speech"]
    print(tabulate.tabulate(rows, head, floatfmt=".3f", tablefmt="github"))


if __name__ == "__main__":
    script(main)
