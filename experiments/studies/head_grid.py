"""Which learning rate and dropout a head on frozen YAMNet has: a grid, by validation mAP alone.

python -m experiments.studies.head_grid     about 10 minutes on 2 cores, then seconds; kept in
                                            runs/studies/head_grid.json; best: 73.1 % at a rate
                                            of 0.001
"""

import itertools
import json
import os
import sys

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

from experiments.figures import mean_cell
from experiments.heads import HEAD_RECIPE, HeadTrainer, Recipe, embedded
from experiments.mini import read_data
from experiments.studies import common
from experiments.studies.common import markdown_table
from mmat.cli.common import exit_status
from mmat.metrics.tagging import mean_average_precision
from mmat.pretrained.registry import yamnet

RATES, DROPOUTS = (3e-4, 1e-3, 3e-3), (0.3, 0.5)


def main() -> None:
    arguments = common.parse_arguments(__doc__, seeds=1)
    path = common.FOLDER / "head_grid.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    recipes = [
        Recipe(rate, dropout, HEAD_RECIPE.epochs)
        for rate, dropout in itertools.product(RATES, DROPOUTS)
    ]
    names = {
        f"{x.rate:g}-{x.dropout:g}-{x.epochs}-{arguments.precision}-seed{seed}": (x, seed)
        for x in recipes
        for seed in range(arguments.seeds)
    }
    missing = {name: point for name, point in names.items() if name not in found}
    if missing:
        data = read_data()
        frames = embedded(data, yamnet)
        trainer = HeadTrainer(data, frames, yamnet)
        truth = data["validation"]["weak_labels"] > 0
    for name, (recipe, seed) in missing.items():
        audio = trainer.train(recipe, seed, arguments.precision)
        scores = trainer.scores(audio, "validation")["clip"]
        found[name] = {"validation mAP": 100 * mean_average_precision(truth, scores)}
        common.write_json(path.name, found)
    rows = []
    for recipe in recipes:
        own = common.summary(found[name] for name, (x, _) in names.items() if x == recipe)
        settings = [f"{recipe.rate:g}", f"{recipe.dropout:g}", str(recipe.epochs)]
        rows.append([*settings, mean_cell(own["validation mAP"])])
    print(markdown_table(rows, ["rate", "dropout", "epochs", "validation mAP, %"]))


if __name__ == "__main__":
    sys.exit(exit_status(main))
