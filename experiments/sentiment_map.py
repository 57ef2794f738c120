"""Whether the names of what a picture shows say anything of the sentiment of who speaks in it.

    python experiments/sentiment_map.py     half a minute; prints docs/cmu_mosi.md's two tables

The video branch sees by ImageNet's 1000 names and by how near each is to the names of the labels
(docs/label_map.md). Before it is asked about sentiment, its map is: sound events stand beside.
"""

import numpy as np
import tabulate

from mmat.labels import LabelSet
from mmat.models.label_map import label_similarities, nearest_labels
from mmat.models.pretrained.registry import image_network
from mmat.models.pretrained.text import embedded_text_encoder

POLES = (
    ("positive sentiment", "negative sentiment"),
    ("happy face", "sad face"),
    ("happy person", "angry person"),
)
SOUNDS = (("Dog", "Train"), ("Train", "Bus"))
ASKED = tuple(dict.fromkeys(name for pair in (("sentiment",), *POLES, *SOUNDS) for name in pair))


def asked_map() -> tuple[list[str], np.ndarray]:
    """Return the first names of the image labels and their similarities (1000, len(ASKED))."""
    image_labels = image_network("efficientnet_lite0").labels()
    similarities = label_similarities(image_labels, LabelSet(ASKED), embedded_text_encoder())
    return [names[0] for names in image_labels], similarities


def correlation(similarities: np.ndarray, one: str, other: str) -> float:
    """Return Pearson's correlation of two names' columns: 1 where pictures cannot tell them."""
    columns = similarities[:, [ASKED.index(one), ASKED.index(other)]]
    return float(np.corrcoef(columns.T)[0, 1])


def main() -> None:
    image_names, similarities = asked_map()
    nearest = nearest_labels(similarities, [(name,) for name in image_names], k=10)
    rows = [
        [name, top[0][1], float(column.std()), ", ".join(image_name for image_name, _ in top)]
        for name, top, column in zip(ASKED, nearest, similarities.T, strict=True)
    ]
    head = ["asked", "largest similarity", "spread", "the ten nearest of ImageNet's names"]
    print(tabulate.tabulate(rows, head, floatfmt=".2f", tablefmt="github"), "\n")
    rows = [[one, other, correlation(similarities, one, other)] for one, other in POLES + SOUNDS]
    head = ["asked", "and", "correlation"]
    print(tabulate.tabulate(rows, head, floatfmt=".2f", tablefmt="github"))


if __name__ == "__main__":
    main()
