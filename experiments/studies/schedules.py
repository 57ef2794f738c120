"""Half the epochs, and half the digits: what they cost in validation F1, on the mini corpus.

    python -m experiments.studies.schedules                 5 seeds, about 60 minutes on 2 cores
                                                            with bfloat16 the first time
    python -m experiments.studies.schedules --precisions    the short one in both precisions too

The short schedule is ours and counts where its mean validation F1 is at most 1 point lower. It was
not shown on DCASE 2017.
"""

import json

from experiments.common import markdown_table, mean_cell
from experiments.options import script
from experiments.studies import measuring, runs
from experiments.studies.options import options
from mmat.files import atomic_path


def main() -> None:
    told = "the short schedule in float32 and in mixed_bfloat16 too"
    asked = options(__doc__, runs.SEEDS, precisions=told)
    chosen = runs.schedules(asked.precision, asked.seeds)
    if asked.precisions:
        chosen = list(dict.fromkeys([*chosen, *runs.precisions()]))
    runs.train_missing(chosen)
    data, figures = runs.read_data(), {}
    for run in chosen:
        name = f"{run.epochs} epochs, {run.dtype}"
        own = measuring.tagging(data, run.scores()) | {"seconds": float(run.scores()["seconds"])}
        figures.setdefault(name, []).append(own)
    figures = {name: measuring.summary(own) for name, own in figures.items()}
    columns = ("validation F1", "validation mAP", "F1", "mAP", "seconds")
    rows = [
        [name, str(len(own["F1"]["seeds"])), *(mean_cell(own[x]) for x in columns)]
        for name, own in figures.items()
    ]
    print(markdown_table(rows, ["linear softmax, %", "seeds", *columns]))
    with atomic_path(runs.FOLDER / "schedules.json") as part:
        part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    script(lambda _: main())
