"""When something sounds: onsets and offsets by the sound alone, and by sound and pictures.

Of taggers without training, of the one that learns from names, and of a head on YAMNet that is
trained and fused with pictures, on the mini corpus:

    python experiments/onsets.py    6 to 15 minutes on 2 cores, without preparing the corpus

It prints two tables of docs/zero_shot.md: how far a picture may move what is heard, chosen on
validation and training clips, and what comes of it on test: with the picture held as long as it
is seen (as before), and timed by the sound. Test clips were looked at once, of the learnt tagger
twice.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
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
from experiments.figures import between
from experiments.heads import HEAD_RECIPE, HeadTrainer, embedded
from experiments.mini import IMAGE_NETWORK, prepare_shards, train_fusion, train_video
from experiments.scores import SHARED_THRESHOLD, Scores
from mmat.cli.common import exit_status
from mmat.corpora.mini import mini_groups, mini_labels
from mmat.labels import MULTI_LABEL, LabelSet
from mmat.metrics.bootstrap import mean_difference
from mmat.metrics.decisions import to_events
from mmat.metrics.events import segment_f1
from mmat.metrics.thresholds import fire
from mmat.models.bundle import Bundle
from mmat.models.fusion import Fallback
from mmat.models.names import zero_shot_bundle
from mmat.models.predict import Predictor
from mmat.models.sound_timing import LogitsTimedBySound
from mmat.pretrained.registry import yamnet
from mmat.shards.read import MODEL_INPUTS, read_arrays
from mmat.training.learn import learn

CLIP_SECONDS, N_SEGMENTS = 10.0, 10
SHIFTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)  # log-odds
LEARNT, TRAINED = "learnt", "trained head"  # training clips tell nothing of these
ALONE, HELD, TIMED = "the sound alone", "both, the picture held", "both, timed by the sound"


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


def main(argv: Sequence[str] | None = None) -> None:
    """Print how far a picture may move what is heard, and what comes of it on test."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    labels = mini_labels()
    shards = prepare_shards(labels)
    inputs = [*MODEL_INPUTS, "sound_embeddings", "image_embeddings"]
    splits = ("train", "validation", "test")
    data = {split: read_arrays(shards, split, inputs=inputs) for split in splits}
    systems = {
        "names alone": zero_shot_bundle(LabelSet.of(labels.names)),
        "with synonyms": zero_shot_bundle(labels),
        LEARNT: learn(mmat.open_corpus(shards)).bundle,
        TRAINED: trained_head(data, labels),
    }
    chosen, rows = [], []
    for name, bundle in systems.items():
        predictor = Predictor(with_held_frames(bundle.model))
        for split in ("train", "validation"):
            if split != "train" or name not in (LEARNT, TRAINED):
                outputs = predictor(data[split])
                f1 = [segments(data[split], shifted(outputs, most, bundle)).f1 for most in SHIFTS]
                chosen.append([f"{name}, {split}", *(100 * each for each in f1)])
        rows += [[name, *row] for row in test_rows(bundle, data["test"], predictor(data["test"]))]
    head = ["segment F1, % by the most that a picture shifts", *map(str, SHIFTS)]
    print(tabulate.tabulate(chosen, head, floatfmt=".1f", tablefmt="github"))
    head = ["test, %", "", "segment F1", "precision", "recall", "event F1, 200 ms", "1 s"]
    head += ["over the sound alone, by clip", "by source group", "fired without an event"]
    print("\n" + tabulate.tabulate(rows, head, floatfmt=".1f", tablefmt="github"))


def trained_head(data: dict, labels: LabelSet) -> Bundle:
    """A recurrent head on YAMNet's embeddings in a late fusion, as in `mini.py`; one seed."""
    audio = HeadTrainer(data, embedded(data, yamnet), yamnet).train(HEAD_RECIPE, 0, "float32")
    fused = train_fusion(data, audio, train_video(data, labels))
    scores = Predictor(fused)(data["validation"])["clip"]
    truth = data["validation"]["weak_labels"] > 0
    thresholds = Scores.tuned(truth, scores, scores, SHARED_THRESHOLD).thresholds
    return Bundle(fused, labels, thresholds, IMAGE_NETWORK)


def with_held_frames(model: keras.Model) -> keras.Model:
    """The same with an output `held`: frames in which each picture counts for its time alone."""
    if model.name == "fused":
        keep = model.get_layer("modality_dropout").output
        alone = [model.output[f"{sense}_frame"] for sense in ("audio", "video")]
        has = [model.input[f"has_{sense}"] for sense in ("audio", "video")]
        held = Fallback()([model.get_layer("late_fusion")([*alone, keep]), *alone, *has])
        return keras.Model(model.input, model.output | {"held": held})
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
    thresholds, group_of = bundle.thresholds, mini_groups()
    groups = [group_of[clip] for clip in data["ids"]]
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


if __name__ == "__main__":
    sys.exit(exit_status(main))
