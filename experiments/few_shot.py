"""Learning curves: names alone, a linear probe, and learning from names, by recordings a class.

Whoever has few recordings of a label can ask for it by its name, fit a regression to embeddings
(`experiments/linear_probe.py`, what users of BirdNET-Analyzer and Perch do), or learn from the name
on (`mmat.training.learn`). All three see the same frozen networks, are learnt from the same
recordings and are measured on the same clips of sources that none of them learnt from. Commands,
duration and results:

    python experiments/few_shot.py --corpus drums   3 minutes; one of mini, drums, speech, sounds
    python experiments/few_shot.py --draws 2        a first look at all four, 5 minutes
    python experiments/few_shot.py                  ten draws a point, 20 minutes on 2 cores

It prints a table a corpus and leaves `report.json`, `curves.png` and `trials/`, with which an
interrupted run goes on, in runs/few_shot/NAME; after a change of what learns, remove `trials`.
The pictures are docs/few_shot_mini.png and its three sisters. At four recordings a class the mini
corpus's fused mAP is 81.2 % against 77.6 by names and 52.1 by the probe; unweighted recall of drum
hits is 47.7 against 41.2 and 46.0, of speech 41.5 against 33.3 and 40.8, of sounds 84.6 against
80.9 and 79.2.

A draw takes k recordings of each class, among them those that it takes at a smaller k. On the mini
corpus it has the training clips all of whose recordings were drawn, and one threshold for all
labels is tuned on the validation split, by the same rule for every system. Of drum hits, acted
speech and sounds the best label is decided. Each of the five speakers is held out in turn: the one
in the list's split `test` would be no sample of speakers, and have no interval. Intervals are those
of the mean over draws. Needs scikit-learn, of the extra `dev`.
"""

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import statistics
import sys
from collections.abc import Callable, Sequence

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

import numpy as np
import tabulate
import threadpoolctl
import tqdm

import mmat
from experiments.figures import between, draws, mean_and_spread, mean_cell, mean_gains
from experiments.linear_probe import fit_probe
from experiments.mini import AUDIO_ENCODER, prepare_shards
from experiments.scores import SHARED_THRESHOLD, Scores
from mmat.cli.common import at_least, exit_status
from mmat.corpora.drums import drums_labels, fetch_drums, read_drums
from mmat.corpora.mini import mini_labels, mini_sounds
from mmat.corpora.sounds import fetch_sounds, read_sounds, sounds_labels
from mmat.corpora.speech_emotion import (
    fetch_speech_emotion,
    read_speech_emotion,
    speech_emotion_labels,
)
from mmat.files import atomic_path, cache_folder
from mmat.labels import LabelSet, Task
from mmat.metrics.bootstrap import figure_differences
from mmat.metrics.multi_class import unweighted_average_recall
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.plots.studies import plot_curves
from mmat.shards.corpus import open_corpus
from mmat.training.learn import Frozen, learn_weights, models_of, read_frozen, untrained_scores

SPLITS = TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES, PROBE, OURS = "names alone", "linear probe", "learnt from names"
ALL = "all"
POINTS = (0, 1, 2, 4, 8, ALL)  # recordings a class
SENSES = {"audio": ("audio",), "audio and pictures": ("audio", "video")}
F1, MAP, UAR = "f1", "mean_average_precision", "unweighted_average_recall"
TITLES = {F1: "micro F1", MAP: "mAP", UAR: "unweighted average recall"}
PAIRS = {"over names": (NAMES, OURS), "over probe": (PROBE, OURS)}


@dataclasses.dataclass(frozen=True)
class Data:
    """A corpus as its frozen networks heard and saw it.

    clips: of all splits. splits: the split of each. recordings: (recording, label) pairs of which
    each was made. rounds: rows to draw from, and rows to score that share no source with them.
    tested: bool `(clips,)`.
    """

    task: Task
    clips: Frozen
    splits: np.ndarray
    recordings: list[tuple[tuple[str, str], ...]]
    rounds: list[tuple[np.ndarray, np.ndarray]]
    tested: np.ndarray

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """What is told apart: sound alone, and with pictures where there are any."""
        return {
            name: senses
            for name, senses in SENSES.items()
            if self.clips.present.keys() >= {*senses}
        }

    @property
    def truth(self) -> np.ndarray:
        return self.clips.truth > 0


# The corpora.


def mini_data() -> Data:
    """The mini corpus: composed clips of several recordings and labels each."""
    clips, splits = read_shards(prepare_shards(mini_labels()))
    sounds = mini_sounds()
    recordings = [tuple((x.recording, x.label) for x in sounds[clip]) for clip in clips.ids]
    learnt_from, tested = splits == TRAIN, splits == TEST
    rounds = [(np.flatnonzero(learnt_from), np.flatnonzero(~learnt_from))]
    return Data(mini_labels().task, clips, splits, recordings, rounds, tested)


def recordings_data(
    name: str, labels: LabelSet, fetch: Callable, read: Callable, each_group: bool = False
) -> Data:
    """A corpus whose clips are recordings of one label each.

    each_group: hold each source group out in turn, instead of the split `test`.
    """
    media = fetch()
    shards = cache_folder() / "few_shot" / name
    options = {"audio_encoder": AUDIO_ENCODER, "clip_seconds": None, "overwrite": True}
    mmat.prepare(read(), media, shards, labels, **options)
    clips, splits = read_shards(shards)
    recordings = [
        ((clip, labels.names[row.argmax()]),)
        for clip, row in zip(clips.ids, clips.truth, strict=True)
    ]
    rounds = [(np.flatnonzero(splits == TRAIN), np.flatnonzero(splits == TEST))]
    tested = splits == TEST
    if each_group:
        groups = np.array(["".join(own) for own in clips.groups])
        rounds = [
            (np.flatnonzero(groups != group), np.flatnonzero(groups == group))
            for group in np.unique(groups)
        ]
        tested = np.ones(len(groups), bool)
    return Data(labels.task, clips, splits, recordings, rounds, tested)


CORPORA = {
    "mini": mini_data,
    "drums": lambda: recordings_data("drums", drums_labels(), fetch_drums, read_drums),
    "speech": lambda: recordings_data(
        "speech", speech_emotion_labels(), fetch_speech_emotion, read_speech_emotion, True
    ),
    "sounds": lambda: recordings_data("sounds", sounds_labels(), fetch_sounds, read_sounds),
}


def read_shards(folder: pathlib.Path) -> tuple[Frozen, np.ndarray]:
    """Return what the frozen networks gave of all clips, and the split of each clip."""
    corpus = open_corpus(folder, hold_out=False)
    models = models_of(corpus)
    parts = [read_frozen(models, corpus, split) for split in SPLITS]
    splits = np.repeat(SPLITS, [len(part.ids) for part in parts])
    senses = {
        name: {
            sense: np.concatenate([getattr(part, name)[sense] for part in parts])
            for sense in parts[0].present
        }
        for name in ("present", "statistics", "pooled")
    }
    ids, groups = ([x for part in parts for x in getattr(part, of)] for of in ("ids", "groups"))
    return Frozen(ids, np.concatenate([part.truth for part in parts]), groups, **senses), splits


# A trial: one draw of recordings, learnt from by both systems that learn.


def drawn(data: Data, rows: np.ndarray, k: int | str, draw: int) -> np.ndarray:
    """Return those of the rows that are made of k recordings a label alone."""
    of_label = collections.defaultdict(set)
    for row in rows:
        for recording, label in data.recordings[row]:
            of_label[label].add(recording)
    random, chosen = np.random.default_rng(draw), set()
    for label in sorted(of_label):
        mixed = random.permutation(sorted(of_label[label])).tolist()
        chosen.update(mixed if k == ALL else mixed[:k])
    own = [row for row in rows if all(name in chosen for name, _ in data.recordings[row])]
    return np.array(own, np.int64)


def trial(data: Data, k: int | str, draw: int) -> dict[str, np.ndarray]:
    """Return scores `(clips, classes)` by view and system, NaN of clips that are not scored.

    n_clips: how many clips were learnt from, a round.
    """
    found = {
        f"{view}/{system}": np.full(data.truth.shape, np.nan, np.float32)
        for view in data.views
        for system in (PROBE, OURS)
    }
    n_clips = []
    for rows, scored in data.rounds:
        own = data.clips.rows(drawn(data, rows, k, draw))
        others = data.clips.rows(scored)
        learnt = learn_weights(own, data.task)
        n_clips.append(len(own.ids))
        for view, senses in data.views.items():
            found[f"{view}/{OURS}"][scored] = learnt.scores(others, senses)
            found[f"{view}/{PROBE}"][scored] = probe_scores(own, others, senses, data.task)
    return found | {"n_clips": np.array(n_clips)}


def probe_scores(own: Frozen, others: Frozen, senses: Sequence[str], task: Task) -> np.ndarray:
    """Return what a probe that learnt some clips scores others, 0 of those without a sense."""
    there, there_too = (np.any([x.present[y] for y in senses], axis=0) for x in (own, others))
    own = own.rows(np.flatnonzero(there))
    probe = fit_probe(embeddings(own, senses), own.truth > 0, own.groups, task)
    return np.where(there_too[:, None], probe.scores(embeddings(others, senses)), 0.0)


def embeddings(clips: Frozen, senses: Sequence[str]) -> np.ndarray:
    """Return the pooled embeddings of the senses side by side, NaN where a clip has none."""
    pooled = [
        np.where(clips.present[x][:, None], clips.pooled[x].astype(np.float32), np.nan)
        for x in senses
    ]
    return np.concatenate(pooled, axis=1)


def kept_trial(folder: pathlib.Path, data: Data, k: int | str, draw: int) -> dict[str, np.ndarray]:
    """Return a trial, of an earlier run where it was of the same clips."""
    path = folder / "trials" / f"{k}-{draw}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            if kept["ids"].tolist() == data.clips.ids:
                return dict(kept)
    # Many small products of matrices: their threads would wait for each other most of the time.
    with threadpoolctl.threadpool_limits(1, "blas"):
        found = trial(data, k, draw)
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **found, ids=np.array(data.clips.ids))
    return found


# Figures.


def point(data: Data, view: str, trials: Sequence[dict]) -> dict:
    """Return the figures of the systems over the draws of a point, and what ours gains.

    trials: none where nothing is learnt; there ours is the tagger by names.
    """
    names = without_other_senses(data.clips, data.views[view])
    scores = {NAMES: [untrained_scores(names).astype(np.float32)]}
    if trials:
        scores |= {system: [x[f"{view}/{system}"] for x in trials] for system in (PROBE, OURS)}
    else:
        scores[OURS] = scores[NAMES]
    outputs = {system: [decided(data, each) for each in own] for system, own in scores.items()}
    truth, groups = data.truth[data.tested], np.flatnonzero(data.tested)
    groups = [data.clips.groups[row] for row in groups]
    systems = {}
    for system, own in outputs.items():
        figures = [figures_of(data.task, truth, *each) for each in own]
        systems[system] = {x: mean_and_spread(each[x] for each in figures) for x in figures[0]}
    gains = {
        name: gains_of(data.task, truth, outputs[first], outputs[second], groups)
        for name, (first, second) in PAIRS.items()
        if first in outputs
    }
    n_clips = [float(np.mean(each["n_clips"])) for each in trials] or [0.0]
    return {"clips": statistics.fmean(n_clips), "systems": systems, "gains": gains}


def without_other_senses(clips: Frozen, senses: Sequence[str]) -> Frozen:
    """Return the clips with some of their senses alone."""
    parts = {
        name: {sense: getattr(clips, name)[sense] for sense in senses}
        for name in ("present", "statistics", "pooled")
    }
    return dataclasses.replace(clips, **parts)


def decided(data: Data, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is decided of the test clips and their scores, both `(clips, classes)`."""
    test = scores[data.tested]
    if data.task.is_multi_class:
        return np.eye(test.shape[1], dtype=bool)[test.argmax(axis=1)], test
    validation = data.splits == VALIDATION
    tuned = Scores.tuned(data.truth[validation], scores[validation], test, SHARED_THRESHOLD)
    return tuned.fired, test


def figures_of(task: Task, truth: np.ndarray, fired: np.ndarray, scores: np.ndarray) -> dict:
    """Return the figures of a task's test clips."""
    if task.is_multi_class:
        return {UAR: unweighted_average_recall(truth, fired)}
    f1 = precision_recall_f1(truth, fired).f1
    return {F1: f1, MAP: mean_average_precision(truth, scores)}


def gains_of(task: Task, truth, firsts: Sequence[tuple], seconds: Sequence[tuple], groups) -> dict:
    """Return the second system's gain in the mean over draws, by what is drawn and by figure."""
    if not task.is_multi_class:
        gains = mean_gains(truth, firsts, seconds, groups)
    else:
        pair = ([fired for fired, _ in system] for system in (firsts, seconds))
        firsts, seconds = pair
        gains = {
            by: figure_differences(mean_recall, truth, firsts, seconds, groups=of)
            for by, of in draws(groups).items()
        }
    wanted = (UAR,) if task.is_multi_class else (F1, MAP)
    return {by: {x: own[x]._asdict() for x in wanted} for by, own in gains.items()}


def mean_recall(truth: np.ndarray, *decisions: np.ndarray) -> dict[str, float]:
    """Return the unweighted average recall, as the mean over several decisions."""
    recalls = [unweighted_average_recall(truth, each) for each in decisions]
    return {UAR: statistics.fmean(recalls)}


# The run.


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", choices=CORPORA, help="default: all, one after the other")
    parser.add_argument("--draws", type=at_least(1), default=10, help="a point (default 10)")
    parser.add_argument("--out", default="runs/few_shot", help="default runs/few_shot")
    arguments = parser.parse_args(argv)
    for name in [arguments.corpus] if arguments.corpus else CORPORA:
        folder = pathlib.Path(arguments.out, name)
        data = CORPORA[name]()
        curves = measure(data, folder, arguments.draws)
        write_results(folder, {"mmat": mmat.__version__, "draws": arguments.draws}, curves)


def measure(data: Data, folder: pathlib.Path, n_draws: int) -> dict[str, dict]:
    """Return the points of each view, by recordings a class."""
    # All recordings are the same ones in every draw.
    todo = [(k, draw) for k in POINTS if k for draw in range(1 if k == ALL else n_draws)]
    trials = {k: [] for k in POINTS}
    for k, draw in tqdm.tqdm(todo, folder.name, disable=None):
        trials[k].append(kept_trial(folder, data, k, draw))
    return {
        view: {str(k): point(data, view, own) for k, own in trials.items()} for view in data.views
    }


def write_results(folder: pathlib.Path, settings: dict, curves: dict[str, dict]) -> None:
    """Write report.json and curves.png, and print the table."""
    report = {"settings": settings, "curves": curves}
    with atomic_path(folder / "report.json") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plot_curves(
        folder / "curves.png", panels_of(curves), [str(k) for k in POINTS], "recordings a class"
    )
    for view, points in curves.items():
        for figure in points["0"]["systems"][NAMES]:
            print(f"\n{folder.name}, {view}: {TITLES[figure]}, %")
            print(table(points, figure))
    print(f"\n{folder}/report.json, {folder}/curves.png")


def panels_of(curves: dict[str, dict]) -> dict[str, dict[str, list]]:
    """Return a panel for each view and figure, in per cent."""
    panels = {}
    for view, points in curves.items():
        for figure in points["0"]["systems"][NAMES]:
            panels[f"{view}: {TITLES[figure]}"] = {
                system: [scaled(own["systems"].get(system), figure) for own in points.values()]
                for system in (NAMES, PROBE, OURS)
            }
    return panels


def scaled(system: dict | None, figure: str) -> dict[str, float] | None:
    """Return a figure's mean and spread in per cent."""
    return system and {key: 100 * system[figure][key] for key in ("mean", "sd")}


def table(points: dict[str, dict], figure: str) -> str:
    """Return a row a point: means with spread over draws, and gains with 95 % intervals."""
    rows = []
    for k, own in points.items():
        systems = own["systems"]
        means = [mean_cell(systems[x][figure], 100) if x in systems else "" for x in
                 (NAMES, PROBE, OURS)]  # fmt: skip
        best = max(systems[x][figure]["mean"] for x in systems if x != OURS)
        row = [k, f"{own['clips']:.0f}", *means]
        row.append(f"{100 * (systems[OURS][figure]['mean'] - best):+.1f}")
        rows.append(row + [gain_cell(own["gains"].get(pair), figure, by) for pair in PAIRS
                           for by in ("group", "clip")])  # fmt: skip
    head = ["k", "clips", NAMES, PROBE, OURS, "over better"]
    head += [f"{pair}, by {by}" for pair in PAIRS for by in ("group", "clip")]
    return tabulate.tabulate(rows, head, "github", disable_numparse=True)


def gain_cell(gains: dict | None, figure: str, by: str) -> str:
    """A gain in points, and the ends of its interval."""
    if gains is None:
        return ""
    gain = gains[by][figure]
    return f"{100 * gain['estimate']:+.1f} [{between((gain['low'], gain['high']), '+')}]"


if __name__ == "__main__":
    sys.exit(exit_status(main))
