"""Tagging the mini corpus without any training, against YAMNet alone with its names matched.

The tagger is ours, as is the comparison. Commands and results:

    python experiments/zero_shot.py             3 to 7 minutes on 2 cores; prints the tables of
                                                docs/zero_shot.md and writes report.json in
                                                runs/zero_training/; test F1 of the fusion 70.2 %,
                                                of YAMNet alone 67.3 %
    python experiments/zero_shot.py --floors    a minute; prints the page's table of floors: from
                                                which cosine on a name is near enough to a label
    python experiments/zero_shot.py --names     a minute; prints how many label names of other data
                                                sets find the right name of AudioSet

Labels are asked for by their names alone, as a user types them. Defaults are chosen on validation;
every threshold is tuned there and in the same way, the baseline's too: one for all labels (the
headline, chosen in advance), and one a label. What the networks predicted is kept beside the
report; after a change of the tagger, remove that folder.

A floor is good where labels of sounds (ESC-50, UrbanSound8K) find a name and nonsense finds none.
Neither data set's recordings are needed. Labels that are a network's own names are left out: no
floor concerns them.
"""

import argparse
import csv
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Sequence

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

import numpy as np
import tabulate

from experiments.figures import between, draws, gain_line, mean_gains
from experiments.mini import prepare_shards
from experiments.scores import CLASS_THRESHOLDS, SHARED_THRESHOLD, Scores
from mmat.cli.common import exit_status
from mmat.corpora.mini import mini_groups, mini_labels
from mmat.files import atomic_path
from mmat.labels import LabelSet
from mmat.media.sound import FRAME_SAMPLES
from mmat.metrics.bootstrap import mean_intervals
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.models.evidence import EqualPriors, LikeliestName
from mmat.models.features import PatchesToFrames
from mmat.models.fusion import EitherRight
from mmat.models.label_map import (
    asked_names,
    imagenet_hypernyms,
    label_similarities,
    matched_similarities,
    sound_label_names,
)
from mmat.models.name_maps import SOUND_FLOOR, THRESHOLD, sound_similarities
from mmat.models.names import zero_shot_bundle
from mmat.models.pooling import MILPooling
from mmat.models.predict import Predictor
from mmat.models.rivals import Competing
from mmat.pretrained.registry import imagenet_labels, yamnet
from mmat.pretrained.text import embedded_text_encoder
from mmat.shards.read import read_arrays

SPLITS = ("validation", "test")
NAMES_OF_SETS = pathlib.Path(__file__).with_name("label_names.csv")
POOLED_BY = ("mean_pooling", "linear_softmax", "exponential_softmax", "max_pooling")
PICTURE_WEIGHTS = (0.2, 0.3, 0.5, 1.0)
COMPETITIONS = (0.0, 0.5, 1.0)
IMAGE_PRIORS = (0.001, 0.002, 0.005, 0.01)
FIRST_NAME, EVERY_NAME = "YAMNet alone, whole or first name", "YAMNet alone, best of all names"
FUSED, WITH_SYNONYMS = "fused", "fused, with the label file's synonyms"
FLOORS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
SOUNDS = """dog;rooster;pig;cow;frog;cat;hen;insects;sheep;crow;rain;sea waves;crackling fire;
crickets;chirping birds;water drops;wind;pouring water;toilet flush;thunderstorm;crying baby;
sneezing;clapping;breathing;coughing;footsteps;laughing;brushing teeth;snoring;drinking, sipping;
door knock;mouse click;keyboard typing;door, wood creaks;can opening;washing machine;
vacuum cleaner;clock alarm;clock tick;glass breaking;helicopter;chainsaw;siren;car horn;engine;
train;church bells;airplane;fireworks;hand saw;air conditioner;children playing;dog bark;drilling;
engine idling;gun shot;jackhammer;street music"""
NONSENSE = """Quarterly tax return;zzqx;Constitutional amendment;Differential equation;Purple;
Tuesday;Interest rate;Photosynthesis;asdfghjkl;Copyright notice;Grammar;Happiness;Mitochondria;
Annual report;Philosophy;Gravity;Password;Zip code;Blue;Eleven;qwrtp;Spreadsheet;Vitamin C;
Parliament;Inflation;Geometry;Friendship;Latitude;Invoice;Yesterday;lorem ipsum;Hypothesis;
Chlorine;Bankruptcy;DNA sequence;Mortgage;Theology;Sociology;Wavelength;Justice"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # Named by the page's former name, so that what was computed before is still found.
    parser.add_argument("--out", default="runs/zero_training", help="folder of the results")
    parser.add_argument("--floors", action="store_true", help="print the table of floors alone")
    parser.add_argument("--names", action="store_true", help="print which label names are found")
    arguments = parser.parse_args(argv)
    if arguments.floors:
        show_floors()
    elif arguments.names:
        show_found_names()
    else:
        compare(pathlib.Path(arguments.out))


def compare(folder: pathlib.Path) -> None:
    """Measure the tagger and the baselines on the mini corpus, and choose the defaults anew."""
    labels = mini_labels()
    names_alone = kept_outputs(LabelSet.of(labels.names), folder / "names_alone.npz")
    with_synonyms = kept_outputs(labels, folder / "with_synonyms.npz")
    truth = {split: names_alone[f"{split} truth"] for split in SPLITS}
    grid = choices([names_alone, with_synonyms], truth["validation"])
    clips = {
        FIRST_NAME: matched_by_name(names_alone, labels.names, lambda parts: parts[:1]),
        EVERY_NAME: matched_by_name(names_alone, labels.names, lambda parts: parts),
        **{name: of_splits(names_alone, name) for name in ("audio", "video")},
        FUSED: of_splits(names_alone, "clip"),
        WITH_SYNONYMS: of_splits(with_synonyms, "clip"),
    }
    group_of = mini_groups()
    groups = [group_of[clip] for clip in names_alone["test ids"]]
    report = {"systems": {}, "gains": {}, "grid on validation": grid}
    for how in (SHARED_THRESHOLD, CLASS_THRESHOLDS):
        tuned = {
            name: Scores.tuned(truth["validation"], own["validation"], own["test"], how)
            for name, own in clips.items()
        }
        report["systems"][how] = {
            name: figures(truth["test"], scores, groups) for name, scores in tuned.items()
        }
        report["gains"][how] = gains(truth["test"], tuned, groups)
    fired = fire(clips[FUSED]["test"], THRESHOLD)
    at_default = float(precision_recall_f1(truth["test"], fired).f1)
    report["fused at the default threshold"] = {"threshold": THRESHOLD, "f1": at_default}
    with atomic_path(folder / "report.json") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    show(report)


def kept_outputs(labels: LabelSet, path: pathlib.Path) -> dict[str, np.ndarray]:
    """What the tagger of these labels predicts of validation and test; computed once, then kept."""
    if not path.exists():
        shards = prepare_shards(mini_labels())
        bundle = zero_shot_bundle(labels)
        maps = {"image_similarities": "label_map", "sound_similarities": "sound_map"}
        predictor = Predictor(bundle.model)
        outputs = {key: np.asarray(bundle.model.get_layer(name).map) for key, name in maps.items()}
        for split in SPLITS:
            data = read_arrays(shards, split)
            outputs |= {f"{split} {name}": x for name, x in predictor(data).items()}
            for name in ("image_probabilities", "has_video"):
                outputs[f"{split} {name}"] = data[name]
            outputs[f"{split} truth"] = data["weak_labels"] > 0
            outputs[f"{split} ids"] = np.array(data["ids"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part, open(part, "wb") as file:
            np.savez_compressed(file, **outputs)
    return dict(np.load(path, allow_pickle=False))


def of_splits(outputs: dict, name: str) -> dict[str, np.ndarray]:
    return {split: outputs[f"{split} {name}"] for split in SPLITS}


def matched_by_name(outputs: dict, names, parts_of) -> dict[str, np.ndarray]:
    """YAMNet's clip means where its name, or the first of its names, is one of the label's."""
    known = {}
    for position, name in enumerate(yamnet.labels()):
        known.setdefault(name.split(", ")[0].casefold(), position)
    known |= {name.casefold(): position for position, name in enumerate(yamnet.labels())}
    found = {}
    for split in SPLITS:
        means = outputs[f"{split} sound_probabilities"].mean(axis=1)  # (clips, 521)
        columns = []
        for name in names:
            called = [name] if name.casefold() in known else parts_of(name.split(", "))
            columns.append(np.max([means[:, known[each.casefold()]] for each in called], axis=0))
        found[split] = np.stack(columns, axis=1)
    return found


def choices(outputs: list[dict], truth: np.ndarray) -> list[dict]:
    """The grid on validation, best first: by the mean F1 of both ways to give the labels."""
    rows = []
    for prior, weight in itertools.product(IMAGE_PRIORS, PICTURE_WEIGHTS):
        both = [either(own, weight, prior) for own in outputs]
        for power, pooling in itertools.product(COMPETITIONS, POOLED_BY):
            found = []
            for scores in both:
                scores = np.asarray(MILPooling(pooling)(Competing(power)(scores)))
                threshold = best_single_threshold(truth, scores)
                f1 = precision_recall_f1(truth, fire(scores, threshold)).f1
                found.append((f1, mean_average_precision(truth, scores), threshold))
            f1, mean_ap, _ = np.mean(found, axis=0)
            row = {"pooling": pooling, "competition": power, "picture_weight": weight}
            row |= {"image_prior": prior, "f1": f1, "mean_average_precision": mean_ap}
            rows.append(row | {"thresholds": ", ".join(f"{each[2]:.3f}" for each in found)})
    return sorted(rows, key=lambda row: -row["f1"])


def either(outputs: dict, weight: float, prior: float) -> np.ndarray:
    """What either sense predicts of validation before labels compete: (clips, time, classes)."""
    patches = LikeliestName()(
        outputs["validation sound_probabilities"], outputs["sound_similarities"]
    )
    to_frames = PatchesToFrames(yamnet.hop_samples, yamnet.window_samples, FRAME_SAMPLES)
    n_samples = FRAME_SAMPLES * outputs["validation frame"].shape[1]
    heard = np.asarray(to_frames([patches, np.zeros((1, n_samples, 1), np.float32)]))
    images = outputs["validation image_probabilities"], outputs["image_similarities"]
    seen = weight * np.asarray(EqualPriors(prior=prior)(*images))
    seen *= outputs["validation has_video"][:, None, None]
    steps = np.arange(heard.shape[1]) * seen.shape[1] // heard.shape[1]
    return np.asarray(EitherRight()([heard, seen[:, steps]]))


def figures(truth: np.ndarray, scores: Scores, groups: list[str]) -> dict:
    """A system's test figures with their 95 % intervals, by clip and by source group."""
    training = (fire(scores.test, scores.thresholds), scores.test)
    by = {name: mean_intervals(truth, [training], of) for name, of in draws(groups).items()}
    found = {"validation_f1": scores.validation_f1, "thresholds": scores.thresholds.tolist()}
    for name in ("f1", "precision", "recall", "mean_average_precision"):
        found[name] = by["clip"][name].estimate
        found[f"{name}_interval"] = {key: each[name][1:] for key, each in by.items()}
    return found


def gains(truth: np.ndarray, tuned: dict[str, Scores], groups: list[str]) -> dict:
    """By how much F1 each fusion is above each baseline and above the sound alone, in pairs."""
    fired = {name: (fire(own.test, own.thresholds), own.test) for name, own in tuned.items()}
    return {
        f"{system} over {name}": {
            by: of["f1"]._asdict()
            for by, of in mean_gains(truth, [fired[name]], [fired[system]], groups).items()
        }
        for system in (FUSED, WITH_SYNONYMS)
        for name in (FIRST_NAME, EVERY_NAME, "audio")
    }


def show(report: dict) -> None:
    grid = report["grid on validation"]
    best = {(row["pooling"], row["competition"]): row for row in reversed(grid)}
    rows = [[*row.values()] for row in sorted(best.values(), key=lambda row: -row["f1"])]
    head = ["best of each pooling", "competition", "picture weight", "image prior"]
    head += ["validation F1", "validation mAP", "thresholds"]
    print(tabulate.tabulate(rows, head, floatfmt=".3f", tablefmt="github"))
    for how, systems in report["systems"].items():
        rows = []
        for name, own in systems.items():
            ends = [between(own["f1_interval"][by]) for by in ("clip", "group")]
            numbers = [100 * own[key] for key in ("validation_f1", "f1")]
            rest = [100 * own[key] for key in ("precision", "recall", "mean_average_precision")]
            rows.append([name, *numbers, *ends, *rest])
        head = ["%", "validation F1", "test F1", "95 % by clip", "by group"]
        head += ["precision", "recall", "mAP"]
        print(f"\nthresholds: {how}")
        print(tabulate.tabulate(rows, head, floatfmt=".1f", tablefmt="github"))
        for name, gain in report["gains"][how].items():
            for by, own in gain.items():
                print(gain_line({"f1": own}, name=name, by=by))
    print(
        "\nat the default threshold {threshold:g}: F1 {f1:.3f}".format(
            **report["fused at the default threshold"]
        )
    )


def show_floors() -> None:
    """Print how many labels of sounds, and how much nonsense, find a name from each floor on."""
    networks = {
        "YAMNet": (names_of_sounds(), None),
        "image network": (imagenet_labels(), imagenet_hypernyms()),
    }
    rows = []
    for network, (names, hypernyms) in networks.items():
        for title, text in (("labels of sounds", SOUNDS), ("nonsense", NONSENSE)):
            labels = LabelSet.from_text(text)
            found = matched_similarities(names, labels, embedded_text_encoder, 0.0, hypernyms)
            nearest = found.max(axis=0)
            nearest = nearest[nearest < 1]
            shares = [f"{100 * np.mean(nearest >= floor):.0f}" for floor in FLOORS]
            rows.append([network, f"{title} ({len(nearest)})", *shares])
    head = ["% that find a name", "", *(f"from {floor:g}" for floor in FLOORS)]
    print(tabulate.tabulate(rows, head, tablefmt="github", disable_numparse=True))


def names_of_sounds() -> list[tuple[str, ...]]:
    labels = LabelSet.of(yamnet.labels())
    return [sound_label_names(labels, i) for i in range(len(labels))]


def show_found_names() -> None:
    """Print how many label names of each data set find their right names, and which do not.

    The right names are facts of `label_names.csv`: the sound itself or the thing whose sound it is;
    where AudioSet has neither, to find nothing is right.
    """
    with open(NAMES_OF_SETS, encoding="utf-8", newline="") as file:
        facts = list(csv.DictReader(file))
    rows, names = [], names_of_sounds()
    for data_set, own in itertools.groupby(facts, lambda fact: fact["set"]):
        own = list(own)
        labels = LabelSet.of(fact["label"] for fact in own)
        asked = [asked_names(labels, i) for i in range(len(labels))]
        cosines = label_similarities(
            names, LabelSet(labels.names, synonyms=tuple(asked)), embedded_text_encoder()
        )
        for way, found in (
            ("cosines alone", np.where(cosines >= SOUND_FLOOR, cosines, 0)),
            ("names, words, cosines", sound_similarities(labels)),
        ):
            verdicts = [
                verdict(column, names, fact) for column, fact in zip(found.T, own, strict=True)
            ]
            counts = [verdicts.count(each) for each in ("right", "wrong", "none")]
            missed = [f["label"] for f, x in zip(own, verdicts, strict=True) if x != "right"]
            rows.append([f"{data_set} ({len(own)})", way, *counts, ", ".join(missed)])
    head = ["label names of", "found by", "right", "wrong", "none", "not right"]
    print(tabulate.tabulate(rows, head, tablefmt="github"))


def verdict(similarities: np.ndarray, names: Sequence[Sequence[str]], fact: dict) -> str:
    """Whether the names that mean a label most are `right`, `wrong` or `none`."""
    right = {name for name in fact["right"].split(";") if name}
    nearest = np.flatnonzero((similarities > 0) & (similarities == similarities.max()))
    found = {names[each][0] for each in nearest}
    if not found and right:
        return "none"
    return "right" if found <= right else "wrong"


if __name__ == "__main__":
    sys.exit(exit_status(main))
