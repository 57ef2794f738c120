"""Which learning rate and dropout a head on frozen YAMNet has: a grid, by validation mAP alone.

python -m experiments.studies.head_grid     about 10 minutes on 2 cores; runs/studies/head_grid.json
"""

import dataclasses
import itertools
import json

import tabulate

from experiments.studies import measuring, runs
from experiments.studies.embeddings import embedded
from experiments.studies.heads import HEAD_RECIPE, HeadTrainer, Recipe
from experiments.studies.options import options
from mmat.errors import atomic_path
from mmat.metrics.tagging import mean_average_precision
from mmat.models.pretrained.audio_registry import yamnet

RATES, DROPOUTS = (1e-3, 3e-3), (0.3, 0.5)


def main() -> None:
    chosen = options(__doc__, seeds=1)
    runs.FOLDER.mkdir(parents=True, exist_ok=True)
    data = runs.read_data()
    trainer = HeadTrainer(data, embedded(data, yamnet, runs.FOLDER), yamnet)
    truth = data["validation"]["weak_labels"] > 0
    found = []
    for rate, dropout in itertools.product(RATES, DROPOUTS):
        recipe = Recipe(rate, dropout, HEAD_RECIPE.epochs)
        figures = []
        for seed in range(chosen.seeds):
            audio = trainer.train(recipe, seed, chosen.precision)
            scores = trainer.scores(audio, "validation")["clip"]
            figures.append({"validation mAP": 100 * mean_average_precision(truth, scores)})
        found.append(dataclasses.asdict(recipe) | measuring.summary(figures))
        print(found[-1], flush=True)
    rows = [
        [
            f"{x['rate']:g}",
            f"{x['dropout']:g}",
            str(x["epochs"]),
            measuring.cell(x["validation mAP"]),
        ]
        for x in found
    ]
    head = ["rate", "dropout", "epochs", "validation mAP, %"]
    print(tabulate.tabulate(rows, head, "github", disable_numparse=True))
    with atomic_path(runs.FOLDER / "head_grid.json") as part:
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
