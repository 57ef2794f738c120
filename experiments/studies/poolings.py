"""Five MIL poolings, what they do to tagging and to localisation, on the mini corpus.

Question: Wang, Li and Metze (arXiv 1810.09050) find linear softmax best for localisation and mean
pooling good for tagging. Their poolings, our recipe: mini_systems.py on the short schedule.

    python -m experiments.studies.poolings      3 seeds each, about 45 minutes on 2 cores, then
                                                seconds; runs/studies/poolings.json and a figure
"""

import json

import tabulate

from experiments.studies import measuring, runs
from mmat.errors import atomic_path
from mmat.plots.studies import plot_groups

TAGGING, LOCALISATION = ("F1", "mAP"), ("segment ER", "segment F1", "segment mAP", "PSDS")


def main() -> None:
    chosen = runs.poolings()
    runs.train_missing(chosen)
    data = runs.read_data()
    figures = {}
    for name in runs.POOLINGS:
        scores = [run.scores() for run in chosen if run.pooling == name]
        figures[name] = measuring.summary(
            measuring.tagging(data, one) | measuring.localisation(data, one) for one in scores
        )
    columns = ("validation mAP", *TAGGING, *LOCALISATION)
    rows = [[name, *(measuring.cell(own[x]) for x in columns)] for name, own in figures.items()]
    print(tabulate.tabulate(rows, ["pooling, %", *columns], "github", disable_numparse=True))
    with atomic_path(runs.FOLDER / "poolings.json") as part:
        part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    shown = ("F1", "mAP", "segment F1", "segment mAP")
    plot_groups(runs.FOLDER / "poolings.png", figures, shown, "test, %")
    print(f"{runs.FOLDER}/poolings.json, poolings.png")


if __name__ == "__main__":
    main()
