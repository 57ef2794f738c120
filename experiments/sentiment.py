"""Speech instead of sounds: three emotions of speakers who are left out in turn.

Paper: Li, Wang, Szurley, Metze and Das, arXiv 1712.09680, which says that its system carries over
to speech sentiment. Here the branches, the data path, training and export are those of the other
scripts; the label set's task makes the difference (mmat/labels.py). Command and result:

    python experiments/sentiment.py     450 recordings, about 10 minutes on 2 cores, runs/sentiment/

Fetches acted speech in three emotions and compares a ridge, the CRNN and a head on YAMNet; the CRNN
reaches an unweighted average recall of 58.7 ± 12.6 %, chance 33.3 % (docs/sentiment.md). Stopped
and started again it goes on. Those who own CMU-MOSI have `experiments/cmu_mosi.py`; --csd and
--media with its options do the same here.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

import keras
import numpy as np
import scipy.stats
import tabulate
import tensorflow as tf
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments import cmu_mosi
from experiments.figures import between, mean_and_spread, mean_cell
from mmat import __version__
from mmat.cli.common import Parser, at_least, exit_status
from mmat.corpora.speech_emotion import (
    fetch_speech_emotion,
    read_speech_emotion,
    speech_emotion_folder,
    speech_emotion_labels,
)
from mmat.corpora.weights import fetch_models
from mmat.export.savedmodel import export_saved_model
from mmat.files import InputError, atomic_path, cache_folder
from mmat.labels import LabelSet
from mmat.media.sound import FRAME_SAMPLES, SAMPLE_RATE_HZ
from mmat.metrics.bootstrap import figure_differences, figure_intervals
from mmat.metrics.decisions import decide
from mmat.metrics.multi_class import unweighted_average_recall
from mmat.metrics.tagging import figures
from mmat.models.audio import audio_branch
from mmat.models.augment import RandomFilter, SpecAugment
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.features import SPEECH_MEL
from mmat.models.pooling import mean_pooling
from mmat.plots.studies import plot_groups
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import AudioEncoder, yamnet
from mmat.shards.prepare import prepare
from mmat.shards.read import read_arrays
from mmat.training.submodels import back_end, compiled_back_end, front_end

DATA = "acted speech in three emotions: Mięsikowska and Świsulski 2020, doi 10.34808/h46c-hb44"
SPLITS = ("train", "validation", "test")  # of the archive; here it is speakers who are left out
CLIP_SECONDS = 2.0  # of the windows that longer files are cut into; the longest recording is 1.6 s
CLIPS_AT_ONCE = 32
FRAMES_TOGETHER = 10  # batches come in few lengths, each of which is planned for
PENALTIES = tuple(10.0**n for n in range(7))  # of the ridge
# Half the authors' filters, and pooled sooner: 450 short recordings ask for no more (ours).
BLOCKS = ((16, (5, 2)), (32, (2, 4)), (64, (1, 2)))
CRNN = "CRNN from scratch"
SHOWN = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro F1"}
LEVEL = 0.95


# The recordings.


@dataclasses.dataclass(frozen=True, eq=False)
class Speech:
    """Recordings of several speakers, each padded at its end to the longest.

    waveform: float32 `(clips, samples, 1)`; n_samples: int32 `(clips,)`; truth: bool `(clips,
    classes)`; speakers: str `(clips,)`.
    """

    ids: list[str]
    waveform: np.ndarray
    n_samples: np.ndarray
    truth: np.ndarray
    speakers: np.ndarray
    labels: LabelSet

    def patches(self, encoder: AudioEncoder) -> list[np.ndarray]:
        """Return a frozen network's embeddings of each clip, float32 `(patches, size)`."""
        layer = HubAudioEncoder.of(encoder)
        own = zip(self.waveform, self.n_samples, strict=True)
        return [layer(x[np.newaxis, :n])["embedding"].numpy()[0] for x, n in own]

    def folds(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield each speaker, the positions of the others' clips, and those of the speaker's."""
        for speaker in np.unique(self.speakers):
            left_out = self.speakers == speaker
            yield str(speaker), np.flatnonzero(~left_out), np.flatnonzero(left_out)


def fetched_speech(progress: bool = True) -> Speech:
    """Fetch the recordings, prepare them as any other clips, and read them."""
    media, labels = fetch_speech_emotion(progress=progress), speech_emotion_labels()
    clips, shards = read_speech_emotion(), cache_folder() / "speech-emotion-shards"
    prepare(clips, media, shards, labels, clip_seconds=None, progress=progress, overwrite=True)
    parts = [read_arrays(shards, split) for split in SPLITS]
    n_samples = np.concatenate([part["n_samples"] for part in parts])
    ids = [clip for part in parts for clip in part["ids"]]
    speaker_of = {clip.id: clip.source_group for clip in clips}
    return Speech(
        ids,
        np.concatenate([_padded(part["waveform"], n_samples.max()) for part in parts]),
        n_samples,
        np.concatenate([part["weak_labels"] for part in parts]) > 0,
        np.array([speaker_of[clip] for clip in ids]),
        labels,
    )


def _padded(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    return np.pad(waveform, ((0, 0), (0, n_samples - waveform.shape[1]), (0, 0)))


# The systems. Each is a function of the training clips that predicts all clips. None knows who
# speaks.


class Fitted(NamedTuple):
    """What a system predicts: scores `(clips, classes)`, more to report, and its branch, if any."""

    scores: np.ndarray
    info: dict[str, float] = {}
    branch: keras.Model | None = None


class Chance:
    """The class that most clips of training have, or the first of several."""

    name, about, n_weights, is_random = "most frequent class", "", 0, False

    def __init__(self, speech: Speech):
        self.speech = speech

    def fit_predict(self, train: np.ndarray, seed: int) -> Fitted:
        """Decide for the same class in all clips."""
        scores = np.zeros(self.speech.truth.shape, np.float32)
        scores[:, self.speech.truth[train].sum(axis=0).argmax()] = 1.0
        return Fitted(scores)


class Ridge:
    """A ridge classifier on the mean and the std of a clip's YAMNet embeddings.

    Its penalty is chosen anew for each fold, by leaving out the speakers of training in turn.
    """

    name, about, is_random = "ridge on YAMNet", f"penalties {PENALTIES}", False

    def __init__(self, speech: Speech):
        self.speech = speech
        patches = [np.asarray(x, np.float64) for x in speech.patches(yamnet)]
        self.inputs = np.stack([np.r_[x.mean(axis=0), x.std(axis=0)] for x in patches])
        self.n_weights = (self.inputs.shape[1] + 1) * len(speech.labels)

    def fit_predict(self, train: np.ndarray, seed: int) -> Fitted:
        """Choose a penalty, fit, and decide for one class in each clip."""
        nested = {penalty: self._nested(train, penalty) for penalty in PENALTIES}
        penalty = max(nested, key=nested.get)
        info = {"penalty": penalty, "nested_uar": nested[penalty]}
        return Fitted(self._decided(train, penalty), info)

    def _nested(self, train: np.ndarray, penalty: float) -> float:
        found = []
        for speaker in np.unique(self.speech.speakers[train]):
            without = train[self.speech.speakers[train] != speaker]
            held = train[self.speech.speakers[train] == speaker]
            decided = self._decided(without, penalty)[held] > 0
            found.append(unweighted_average_recall(self.speech.truth[held], decided))
        return float(np.mean(found))

    def _decided(self, train: np.ndarray, penalty: float) -> np.ndarray:
        fitted = make_pipeline(StandardScaler(), RidgeClassifier(alpha=penalty))
        fitted.fit(self.inputs[train], self.speech.truth[train].argmax(axis=1))
        n_classes = self.speech.truth.shape[1]
        return np.eye(n_classes, dtype=np.float32)[fitted.predict(self.inputs)]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network learns speech, by AdamW with a warm cosine."""

    rate: float
    epochs: int
    dropout: float = 0.3
    batch_size: int = 16


CRNN_RECIPE = Recipe(rate=1e-3, epochs=20)
HEAD_RECIPE = Recipe(rate=1e-3, epochs=20, dropout=0.5)


class Features:
    """What the front end of ragged audio branches gives of all recordings, computed once.

    own: of each clip float32 `(frames, bands, 1)`, without the frames of its padding.
    """

    def __init__(self, speech: Speech, branch: keras.Model, hop_samples: int):
        self.hop_samples = hop_samples
        end = front_end(branch)
        inputs = {"waveform": speech.waveform, "n_samples": speech.n_samples}
        self.all = end.predict(inputs, batch_size=CLIPS_AT_ONCE, verbose=0)
        counts = -(-speech.n_samples // hop_samples)
        self.own = [frames[:n] for frames, n in zip(self.all, counts, strict=True)]
        self.n_samples = speech.n_samples

    def adapt(self, branch: keras.Model, clips: np.ndarray) -> None:
        """Let a branch normalise by the clips it is to learn from."""
        branch.get_layer("band_normalization").adapt(self.own[clip][None] for clip in clips)

    def padded(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return frames `(clips, frames, bands, 1)` up to the longest clip's, and all lengths."""
        longest = max(len(self.own[clip]) for clip in clips)
        n_frames = -(-longest // FRAMES_TOGETHER) * FRAMES_TOGETHER
        return self.all[clips, :n_frames], self.n_samples[clips]

    def scores(self, branch: keras.Model, clips: np.ndarray) -> np.ndarray:
        """Return what a branch predicts, float32 `(clips, classes)`."""
        inputs = list(self.padded(clips))
        return back_end(branch).predict(inputs, batch_size=CLIPS_AT_ONCE, verbose=0)["clip"]


class Network:
    """An audio branch that learns from what its front end gave of the training clips.

    build: makes the branch, ragged, by a seed and a dropout. hop_samples: of a frame of its front
    end.
    """

    is_random = True

    def __init__(
        self,
        name: str,
        speech: Speech,
        build: Callable[[int, float], keras.Model],
        hop_samples: int,
        recipe: Recipe,
    ):
        self.name, self.speech, self.build, self.recipe = name, speech, build, recipe
        branch = build(0, 0.0)
        self.n_weights = sum(int(np.prod(w.shape)) for w in branch.trainable_weights)
        self.about = f"{recipe}, {self.n_weights} weights"
        self.features = Features(speech, branch, hop_samples)

    def fit_predict(self, train: np.ndarray, seed: int) -> Fitted:
        """Train the branch, waveform in, and predict the scores of all clips."""
        keras.utils.set_random_seed(seed)
        recipe, branch = self.recipe, self.build(seed, self.recipe.dropout)
        self.features.adapt(branch, train)
        steps = len(train) // recipe.batch_size
        task = self.speech.labels.task
        network = compiled_back_end(branch, recipe.rate, recipe.epochs * steps, 2 * steps, task)
        batches = self._batches(train, np.random.default_rng(seed))
        network.fit(batches, steps_per_epoch=steps, epochs=recipe.epochs, verbose=0)
        scores = self.features.scores(branch, np.arange(len(self.speech.ids)))
        whole = keras.Model(branch.input, branch.output, name=branch.name)  # see `back_end`
        return Fitted(scores, {"loss": network.history.history["loss"][-1]}, whole)

    def _batches(self, train: np.ndarray, rng: np.random.Generator) -> tf.data.Dataset:
        """Batches without end, each as long as its longest clip: frames, lengths, and truth."""
        truth = self.speech.truth.astype(np.float32)

        def batches():
            while True:
                order = rng.permutation(train)
                for i in range(0, len(train) - self.recipe.batch_size + 1, self.recipe.batch_size):
                    clips = order[i : i + self.recipe.batch_size]
                    yield self.features.padded(clips), {"clip": truth[clips]}

        bands, classes = self.features.all.shape[2], truth.shape[1]
        frames = tf.TensorSpec((None, None, bands, 1)), tf.TensorSpec((None,), tf.int32)
        spec = frames, {"clip": tf.TensorSpec((None, classes))}
        return tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(2)


def crnn(speech: Speech) -> Network:
    """The authors' network, smaller, from scratch on log-mel of 25 ms every 10 ms."""

    def build(seed: int, dropout: float) -> keras.Model:
        augmentation = RandomFilter(0.5, seed=seed), SpecAugment(0.15, 0.2, seed=seed)
        return _branch(speech, augmentation, dropout, mel=SPEECH_MEL, blocks=BLOCKS)

    return Network(CRNN, speech, build, SPEECH_MEL.hop_samples, CRNN_RECIPE)


def head(speech: Speech) -> Network:
    """A recurrent layer and its head on frozen YAMNet embeddings."""

    def build(seed: int, dropout: float) -> keras.Model:
        augmentation = (SpecAugment(0.15, 0.0, seed=seed),)
        return _branch(speech, augmentation, dropout, encoder=yamnet)

    return Network("CRNN head on YAMNet", speech, build, FRAME_SAMPLES, HEAD_RECIPE)


def _branch(speech: Speech, augmentation, dropout: float, **front_end) -> keras.Model:
    options = {"augmentation": augmentation, "dropout": dropout, "ragged": True, **front_end}
    return audio_branch(speech.labels, pooling=mean_pooling, **options)


SYSTEMS = Chance, Ridge, crnn, head


# The comparison: one training of each system for each speaker who is left out.


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="all results (default runs/sentiment, or runs/mosi)")
    parser.add_argument("--seeds", type=at_least(1), help="trainings of each network (default 1)")
    parser.add_argument("--again", action="store_true", help="train anew")
    parser.add_argument("--csd", metavar="FILE", help="CMU-MOSI's label file: as cmu_mosi.py")
    parser.add_argument("--media", metavar="DIR", help="CMU-MOSI's raw videos")
    arguments, others = parser.parse_known_args(argv)
    if bool(arguments.csd) != bool(arguments.media):
        raise InputError("--csd and --media: CMU-MOSI needs both, its label file and its videos")
    if arguments.csd and arguments.seeds:
        raise InputError("--seeds: is about the emotions; CMU-MOSI is trained once, by --seed")
    if arguments.csd:
        return cmu_mosi.main(argv)
    if others:
        raise InputError(f"{others[0]}: unknown without --csd; see `sentiment.py --help`")
    compare_on_emotions(arguments)


def compare_on_emotions(arguments) -> None:
    """Train each system once for each speaker who is left out, and report how they compare."""
    out, n_seeds = pathlib.Path(arguments.out or "runs/sentiment"), arguments.seeds or 1
    kept = out / "folds"
    if arguments.again:
        shutil.rmtree(kept, ignore_errors=True)
    print("== recordings", flush=True)
    fetch_models()  # YAMNet
    speech = fetched_speech()
    seconds = speech.n_samples.sum() / SAMPLE_RATE_HZ
    print(f"{len(speech.ids)} recordings, {seconds:.0f} s, {len(set(speech.speakers))} speakers")
    outputs, infos = {}, {}
    for make in SYSTEMS:
        system = make(speech)
        print(f"== {system.name}", flush=True)
        seeds = range(n_seeds if system.is_random else 1)
        runs = [left_out(speech, system, seed, kept) for seed in seeds]
        outputs[system.name] = [scores for scores, _ in runs]
        infos[system.name] = {"weights": system.n_weights, "folds": [info for _, info in runs]}
    report = report_of(speech, outputs, reference=Ridge.name)
    for name, own in infos.items():
        report["systems"][name] |= own
    tag_who_was_left_out(speech, CRNN, out)
    report["settings"] = {"mmat": __version__, "seeds": n_seeds, "data": DATA}
    write_report(out, report)
    print(f"\n{as_table(report)}")
    print("\n".join(gain_lines(report)))
    print(f"\n{out}/report.json   the figures; systems.png and tagged.png lie beside it")
    print(f"{out}/export/       the CRNN that never heard m1: mmat tag FILE --model {out}/export")


def left_out(speech: Speech, system, seed: int, kept: pathlib.Path) -> tuple[np.ndarray, dict]:
    """Return scores of all clips, each from the fold without its speaker; each fold is kept."""
    scores, infos = np.zeros(speech.truth.shape, np.float32), {}
    for speaker, train_on, test in speech.folds():
        path = kept_fold(kept, system.name, speaker, seed)
        if not path.exists():
            began = time.perf_counter()
            fitted = system.fit_predict(train_on, seed)
            info = fitted.info | {"seconds": time.perf_counter() - began}
            if fitted.branch is not None:
                with atomic_path(path.with_suffix(".keras")) as part:
                    fitted.branch.save(part)
            with atomic_path(path) as part, part.open("wb") as file:
                own = {"scores": fitted.scores[test], "ids": np.array(speech.ids)[test]}
                np.savez(file, **own, about=system.about, **info)
        with np.load(path, allow_pickle=False) as fold:
            same_clips = fold["ids"].tolist() == [speech.ids[clip] for clip in test]
            if not same_clips or fold["about"] != system.about:
                raise InputError(f"{path}: of other recordings or settings; --again trains anew")
            scores[test] = fold["scores"]
            others = set(fold.files) - {"scores", "ids", "about"}
            infos[speaker] = {name: float(fold[name]) for name in sorted(others)}
        print(f"{speaker} left out: {infos[speaker]['seconds']:.0f} s", flush=True)
    return scores, infos


def kept_fold(kept: pathlib.Path, name: str, speaker: str, seed: int) -> pathlib.Path:
    return kept / f"{name.replace(' ', '-')}-{speaker}-seed{seed}.npz"


def tag_who_was_left_out(speech: Speech, name: str, out: pathlib.Path) -> None:
    """Export the network of the first fold, and tag a recording of the speaker it never heard."""
    speaker, _, test = next(speech.folds())
    print(f"== the {name} without {speaker}, exported", flush=True)
    path = kept_fold(out / "folds", name, speaker, seed=0).with_suffix(".keras")
    branch = keras.saving.load_model(path)
    thresholds = np.zeros(len(speech.labels), np.float32)
    bundle = Bundle(branch, speech.labels, thresholds, clip_seconds=CLIP_SECONDS,
                    figures={"data": DATA})  # fmt: skip
    save_bundle(out / "crnn", bundle)
    export_saved_model(bundle, out / "export")
    clip = next(clip for clip in read_speech_emotion() if clip.id == speech.ids[test[0]])
    print(f"tagging {clip.file}, acted as: {', '.join(clip.labels)}", flush=True)
    command = [sys.executable, "-m", "mmat", "tag", str(speech_emotion_folder() / clip.file)]
    command += ["--model", str(out / "export"), "--plot", str(out / "tagged.png")]
    subprocess.run(command, check=True)


# The report: figures by speaker, differences to the ridge, a table.


def report_of(speech: Speech, outputs: dict[str, list[np.ndarray]], reference: str) -> dict:
    """Return the figures of systems and their differences to one of them, the reference.

    outputs: of each system and training its scores `(clips, classes)`, each clip's from the fold
    that left its speaker out. Of several trainings a speaker's figure is their mean, and what is
    drawn by clip is the first one's.
    """
    by_clip = {name: _clip_intervals(speech, runs[0]) for name, runs in outputs.items()}
    by_speaker = {name: _by_speaker(speech, runs) for name, runs in outputs.items()}
    systems = {
        name: {
            figure: summary([of[figure] for of in own.values()])
            | {"by_clip": by_clip[name][figure]}
            for figure in SHOWN
        }
        | {"speakers": own}
        for name, own in by_speaker.items()
    }
    over = {
        name: {
            "by_speaker": summary([own[x]["uar"] - by_speaker[reference][x]["uar"] for x in own]),
            "by_clip": _clip_gain(speech, outputs[reference][0], runs[0]),
        }
        for (name, runs), own in zip(outputs.items(), by_speaker.values(), strict=True)
        if name != reference
    }
    return {"systems": systems, "reference": reference, "over_reference": over}


def summary(values: Sequence[float]) -> dict:
    """Mean, standard deviation and t interval over speakers, and the speakers' own figures.

    >>> summary([0.4, 0.6])["mean"]
    0.5
    """
    found = mean_and_spread(values)
    mean, speakers = found["mean"], found.pop("seeds")
    reach = scipy.stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * found["sd"] / len(values) ** 0.5
    return found | {"interval": [mean - reach, mean + reach], "speakers": speakers}


def _by_speaker(speech: Speech, runs: list[np.ndarray]) -> dict[str, dict[str, float]]:
    found = {}
    for speaker, _, left_out in speech.folds():
        own = [_figures(speech)(speech.truth[left_out], run[left_out]) for run in runs]
        found[speaker] = {name: statistics.fmean(one[name] for one in own) for name in SHOWN}
    return found


def _figures(speech: Speech):
    task = speech.labels.task

    def of(truth, scores) -> dict[str, float]:
        return figures(task, truth, decide(task, scores, 0.0), scores)

    return of


def _clip_intervals(speech: Speech, scores: np.ndarray) -> dict[str, list[float]]:
    found = figure_intervals(_figures(speech), speech.truth, scores)
    return {name: [own.low, own.high] for name, own in found.items()}


def _clip_gain(speech: Speech, first: np.ndarray, second: np.ndarray) -> dict:
    return figure_differences(_figures(speech), speech.truth, [first], [second])["uar"]._asdict()


def write_report(folder: pathlib.Path, report: dict) -> None:
    """Write the picture `systems.png`, and last `report.json`."""
    drawn = {
        name: {title: _in_percent(own[key]) for key, title in SHOWN.items()}
        for name, own in report["systems"].items()
    }
    plot_groups(folder / "systems.png", drawn, list(SHOWN.values()))
    with atomic_path(folder / "report.json") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _in_percent(figure: dict) -> dict:
    speakers = [100 * x for x in figure["speakers"]]
    return {"mean": 100 * figure["mean"], "sd": 100 * figure["sd"], "seeds": speakers}


def as_table(report: dict) -> str:
    """Return the systems' figures in per cent, mean ± std over speakers, and each speaker."""
    speakers = list(next(iter(report["systems"].values()))["speakers"])
    rows = [
        [name, *(mean_cell(own[key], 100) for key in SHOWN)]
        + [between(own["uar"]["interval"])]
        + [f"{100 * own['speakers'][speaker]['uar']:.1f}" for speaker in speakers]
        for name, own in report["systems"].items()
    ]
    header = ["left out in turn, %", *SHOWN.values(), "UAR, 95 % of speakers"]
    return tabulate.tabulate(rows, [*header, *speakers], disable_numparse=True)


def gain_lines(report: dict) -> list[str]:
    """Return what each system is above the reference, in words."""
    lines = []
    for name, gain in report["over_reference"].items():
        of, clips = gain["by_speaker"], gain["by_clip"]
        lines.append(
            f"{name} over {report['reference']}: {100 * of['mean']:+.1f} points of UAR, 95 % "
            f"interval {between(of['interval'], '+')} over speakers, "
            f"{between([clips['low'], clips['high']], '+')} over clips (first training); above "
            f"it for {sum(x > 0 for x in of['speakers'])} of {len(of['speakers'])} speakers"
        )
    return lines


if __name__ == "__main__":
    sys.exit(exit_status(main))
