"""Five MIL poolings, what they do to tagging and to localisation, on the mini corpus.

Question: Wang, Li and Metze (arXiv 1810.09050) find linear softmax best for localisation and mean
pooling good for tagging. Their poolings, our recipe: mini_systems.py on the short schedule.

    python -m experiments.studies.poolings                      the CRNN, 3 seeds each, about 45
                                                                minutes on 2 cores with bfloat16
    python -m experiments.studies.poolings --encoder yamnet     heads on frozen YAMNet

The trainings are kept; runs/studies/poolings.json and a figure, with the encoder's name in theirs.
"""

import json

from experiments.common import means_table
from experiments.options import script
from experiments.studies import measuring, runs
from experiments.studies.options import options
from mmat.files import atomic_path
from mmat.plots.studies import plot_groups

TAGGING, LOCALISATION = ("F1", "mAP"), ("segment ER", "segment F1", "segment mAP", "PSDS")


def main() -> None:
    asked = options(__doc__, seeds=3, encoder=True)
    chosen = runs.poolings(asked.precision, asked.seeds, asked.encoder)
    runs.train_missing(chosen)
    data = runs.read_data()
    figures = {}
    for name in runs.POOLINGS:
        scores = [run.scores() for run in chosen if run.pooling == name]
        figures[name] = measuring.summary(
            measuring.tagging(data, one) | measuring.localisation(data, one) for one in scores
        )
    columns = ("validation mAP", *TAGGING, *LOCALISATION)
    print(means_table("pooling, %", figures, columns))
    name = "poolings" if asked.encoder == "crnn" else f"poolings_{asked.encoder}"
    with atomic_path(runs.FOLDER / f"{name}.json") as part:
        part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    shown = ("F1", "mAP", "segment F1", "segment mAP")
    plot_groups(runs.FOLDER / f"{name}.png", figures, shown, "test, %")
    print(f"{runs.FOLDER}/{name}.json, {name}.png")


if __name__ == "__main__":
    script(lambda _: main())
