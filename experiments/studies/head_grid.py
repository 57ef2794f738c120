"""Which learning rate and dropout a head on frozen YAMNet has: a grid, by validation mAP alone.

python -m experiments.studies.head_grid     about 10 minutes on 2 cores, then seconds; kept in
                                            runs/studies/head_grid.json
"""

import itertools
import json

from experiments.common import markdown_table, mean_cell
from experiments.options import script
from experiments.studies import measuring, runs
from experiments.studies.embeddings import embedded
from experiments.studies.heads import HEAD_RECIPE, HeadTrainer, Recipe
from experiments.studies.options import options
from mmat.files import atomic_path
from mmat.metrics.tagging import mean_average_precision
from mmat.models.pretrained.registry import yamnet

RATES, DROPOUTS = (3e-4, 1e-3, 3e-3), (0.3, 0.5)


def main() -> None:
    asked = options(__doc__, seeds=1)
    runs.FOLDER.mkdir(parents=True, exist_ok=True)
    path = runs.FOLDER / "head_grid.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    recipes = [
        Recipe(rate, dropout, HEAD_RECIPE.epochs)
        for rate, dropout in itertools.product(RATES, DROPOUTS)
    ]
    names = {
        f"{x.rate:g}-{x.dropout:g}-{x.epochs}-{asked.precision}-seed{seed}": (x, seed)
        for x in recipes
        for seed in range(asked.seeds)
    }
    missing = {name: point for name, point in names.items() if name not in found}
    if missing:
        data = runs.read_data()
        trainer = HeadTrainer(data, embedded(data, yamnet, runs.FOLDER), yamnet)
        truth = data["validation"]["weak_labels"] > 0
    for name, (recipe, seed) in missing.items():
        audio = trainer.train(recipe, seed, asked.precision)
        scores = trainer.scores(audio, "validation")["clip"]
        found[name] = {"validation mAP": 100 * mean_average_precision(truth, scores)}
        with atomic_path(path) as part:
            part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    rows = []
    for recipe in recipes:
        own = measuring.summary(found[name] for name, (x, _) in names.items() if x == recipe)
        settings = [f"{recipe.rate:g}", f"{recipe.dropout:g}", str(recipe.epochs)]
        rows.append([*settings, mean_cell(own["validation mAP"])])
    head = ["rate", "dropout", "epochs", "validation mAP, %"]
    print(markdown_table(rows, head))


if __name__ == "__main__":
    script(lambda _: main())
