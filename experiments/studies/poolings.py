"""Five MIL poolings, what they do to tagging and to localisation, on the mini corpus.

Paper: Wang, Li and Metze (arXiv 1810.09050) find linear softmax best for localisation and mean
pooling good for tagging. Their poolings, our recipe: that of mini.py on the short schedule.
Commands and results:

    python -m experiments.studies.poolings                      the CRNN, 3 seeds each, about 45
                                                                minutes on 2 cores with bfloat16
    python -m experiments.studies.poolings --encoder yamnet     heads on frozen YAMNet: test F1 45
                                                                by linear softmax, 58 by attention

The trainings are kept; runs/studies/poolings.json and a figure, with the encoder's name in theirs.
"""

import os
import sys

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

from experiments.heads import HEAD_RECIPE
from experiments.options import POOLINGS
from experiments.studies import common
from experiments.studies.common import means_table
from mmat.cli.common import exit_status
from mmat.plots.studies import plot_groups

TAGGING, LOCALISATION = ("F1", "mAP"), ("segment ER", "segment F1", "segment mAP", "PSDS")


def main() -> None:
    arguments = common.parse_arguments(__doc__, seeds=3, encoder=True)
    chosen = runs(arguments.precision, arguments.seeds, arguments.encoder)
    common.train_missing(chosen)
    data = common.read_data()
    figures = {}
    for name in POOLINGS:
        scores = [run.scores() for run in chosen if run.pooling == name]
        figures[name] = common.summary(
            common.tagging(data, one) | common.localisation(data, one) for one in scores
        )
    columns = ("validation mAP", *TAGGING, *LOCALISATION)
    print(means_table("pooling, %", figures, columns))
    name = "poolings" if arguments.encoder == "crnn" else f"poolings_{arguments.encoder}"
    common.write_json(f"{name}.json", figures)
    shown = ("F1", "mAP", "segment F1", "segment mAP")
    plot_groups(common.FOLDER / f"{name}.png", figures, shown, "test, %")
    print(f"{common.FOLDER}/{name}.json, {name}.png")


def runs(dtype: str, seeds: int = 3, encoder: str = "crnn") -> list[common.Run]:
    """The five poolings on the short schedule."""
    epochs = {"crnn": common.SHORT_EPOCHS, "yamnet": HEAD_RECIPE.epochs}[encoder]
    return [
        common.Run(name, epochs, dtype, seed, encoder) for name in POOLINGS for seed in range(seeds)
    ]


if __name__ == "__main__":
    sys.exit(exit_status(main))
