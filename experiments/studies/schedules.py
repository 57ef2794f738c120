"""Half the epochs, and half the digits: what they cost in validation F1, on the mini corpus.

    python -m experiments.studies.schedules                 5 seeds, about 60 minutes on 2 cores
                                                            with bfloat16 the first time
    python -m experiments.studies.schedules --precisions    the short one in both precisions too

The short schedule is ours and counts where its mean validation F1 is at most 1 point lower. It was
not shown on DCASE 2017. No score to expect yet (docs/studies.md).
"""

import os
import sys

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

from experiments.figures import mean_cell
from experiments.studies import common
from experiments.studies.common import markdown_table
from mmat.cli.common import exit_status


def main() -> None:
    precisions_help = "the short schedule in float32 and in mixed_bfloat16 too"
    arguments = common.parse_arguments(__doc__, common.SEEDS, precisions=precisions_help)
    chosen = common.schedules(arguments.precision, arguments.seeds)
    if arguments.precisions:
        chosen = list(dict.fromkeys([*chosen, *precisions()]))
    common.train_missing(chosen)
    data, figures = common.read_data(), {}
    for run in chosen:
        name = f"{run.epochs} epochs, {run.dtype}"
        own = common.tagging(data, run.scores()) | {"seconds": float(run.scores()["seconds"])}
        figures.setdefault(name, []).append(own)
    figures = {name: common.summary(own) for name, own in figures.items()}
    columns = ("validation F1", "validation mAP", "F1", "mAP", "seconds")
    rows = [
        [name, str(len(own["F1"]["seeds"])), *(mean_cell(own[x]) for x in columns)]
        for name, own in figures.items()
    ]
    print(markdown_table(rows, ["linear softmax, %", "seeds", *columns]))
    common.write_json("schedules.json", figures)


def precisions(seeds: int = 3) -> list[common.Run]:
    """Linear softmax on the short schedule in both precisions of a CPU."""
    return [
        common.Run("linear", common.SHORT_EPOCHS, dtype, seed)
        for dtype in common.PRECISIONS
        for seed in range(seeds)
    ]


if __name__ == "__main__":
    sys.exit(exit_status(main))
