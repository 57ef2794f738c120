"""Which of few or many labels a recording is, without training, and which it is if it is short.

    python experiments/label_sets.py broad    recordings by name: sets of 2, 10, 34 and 521
                                              labels, with and without competition
    python experiments/label_sets.py short    recordings shorter than YAMNet's window, at its
                                              beginning, in its middle, and repeated

They take 1 to 4 minutes on 2 cores, and print tables of docs/zero_shot.md. Choices were made on
Debian's recordings of sounds without Scratch's. Scratch's, some of which made the question, were
looked at once, beside the others.
"""

import argparse
import functools
import itertools
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

import numpy as np
import tabulate

from experiments.figures import between
from mmat.cli.common import exit_status
from mmat.corpora.debian import download_packages
from mmat.corpora.package_files import iter_members
from mmat.corpora.sounds import fetch_sounds, read_sounds
from mmat.files import cache_folder
from mmat.labels import LabelSet
from mmat.media.read import read_audio
from mmat.media.sound import FRAME_SAMPLES
from mmat.metrics.thresholds import fire
from mmat.models.features import PatchesToFrames
from mmat.models.kin import all_above, competition, kin_pairs, speech_and_other_acts
from mmat.models.name_maps import THRESHOLD
from mmat.models.names import zero_shot_bundle
from mmat.models.rivals import Competing
from mmat.pretrained.registry import yamnet
from mmat.tagging.tagger import Tagger

SIZES, N_SETS = (2, 10, 34, 521), 8  # labels in a set, and sets drawn for each recording
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
    parser.add_argument("what", choices=["broad", "short"], help="which tables to print")
    {"broad": show_broad, "short": show_short}[parser.parse_args(argv).what]()


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
    ways = {"nobody": nobody, "who is not kin (before)": who_is_not_kin, "now": as_now}
    every = {"sounds": sounds(), "Scratch": scratch()}
    pool = sorted({one.name for found in every.values() for one in found} | {"Speech"})
    rows = []
    for title, recordings in every.items():
        heard = [heard_frames(one.waveform) for one in recordings]
        before = {}
        for (way, compete), size in itertools.product(ways.items(), SIZES):
            found = [
                judged(frames, one.name, asked, compete)
                for one, frames in zip(recordings, heard, strict=True)
                for asked in label_sets(one, size, pool)
            ]
            counts = np.array(found, float).reshape(len(recordings), -1, 3).sum(axis=1)
            # top-1, hits and false fires of each recording, over its sets
            before.setdefault(size, counts)
            if compete is who_is_not_kin:
                before[size] = counts
            n_sets = len(found) // len(recordings)
            top, hits, false = counts.mean(axis=0) / n_sets
            now = compete is as_now
            gain = gain_interval(before[size], counts, n_sets) if now else ""
            rows.append(
                [title, size, way, 100 * top, 100 * hits, false, 100 * f1(counts, n_sets), gain]
            )
    rows.sort(key=lambda row: (row[0] == "Scratch", row[1]))
    head = ["", "labels", "competes with", "top-1, %", "recall, %", "false fires a file", "F1, %"]
    print(tabulate.tabulate(rows, [*head, "over before"], floatfmt=".1f", tablefmt="github"))
    show_laughter(every["Scratch"], pool)


def heard_frames(waveform: np.ndarray) -> np.ndarray:
    """What YAMNet hears at 10 Hz: `(1, time, 521)`, as the tagger's sound branch has it."""
    to_frames = PatchesToFrames(yamnet.hop_samples, yamnet.window_samples, FRAME_SAMPLES)
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


def nobody(frames: np.ndarray, asked: list[str]) -> np.ndarray:
    """Scores of the asked labels, none of which competes."""
    return frames


def who_is_not_kin(frames: np.ndarray, asked: list[str]) -> np.ndarray:
    """The same where all compete that are not kin, however many they are."""
    return np.asarray(Competing(1.0, kin_and_yields(tuple(asked))[0])(frames))


def as_now(frames: np.ndarray, asked: list[str]) -> np.ndarray:
    """The same as the tagger has it: many compete harder, and speech yields to other voices."""
    return np.asarray(Competing(competition(len(asked)), *kin_and_yields(tuple(asked)))(frames))


@functools.cache
def kin_and_yields(asked: tuple[str, ...]) -> tuple[list, tuple]:
    """Which of the asked labels are no rivals, and which yield to which."""
    same = np.eye(len(asked))
    return kin_pairs(same, asked), speech_and_other_acts(same, asked)


def judged(
    frames: np.ndarray, name: str, asked: list[str], compete: Callable[..., np.ndarray]
) -> list[int]:
    """Whether a recording's own label is the best, whether it fires, and how many others do.

    compete: one of the ways above. What the own label is a kind of, or is a kind of it, is right as
    well.
    """
    names = yamnet.labels()
    frames = compete(frames[..., [names.index(each) for each in asked]], asked)
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
    sys.exit(exit_status(main))
