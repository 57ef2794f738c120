"""Ways from image labels to sound events, compared without any training on the mini corpus.

    python experiments/label_map.py     a minute; prints docs/label_map.md's table and
                                        writes docs/label_map.png

The way and its parameter are chosen on validation; the test column is there to be honest.
"""

import numpy as np
import tabulate
from mini import IMAGE_NETWORK, prepare_shards

from mmat.corpora.mini import mini_labels
from mmat.labels import LabelSet
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.models.label_map import (
    Sharpened,
    Thresholded,
    label_similarities,
    similarity_weighted,
    top_label,
)
from mmat.models.predict import Predictor
from mmat.models.pretrained.registry import image_network
from mmat.models.pretrained.text import embedded_text_encoder
from mmat.models.video import video_branch
from mmat.plots import plot_label_map
from mmat.shards.read import read_arrays

WAYS = {
    "top label only": top_label,
    "similarity-weighted sum": similarity_weighted,
    **{f"sharpened, power {power}": Sharpened(power) for power in (4.0, 8.0, 16.0, 24.0)},
    **{f"thresholded at {value}": Thresholded(value) for value in (0.5, 0.6, 0.7, 0.8)},
}


def main() -> None:
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


if __name__ == "__main__":
    main()
