"""AudioSet, 527 classes: TALNet by default, mean average precision, AUC and d'.

Paper: Wang, Li and Metze, "A Comparison of Five Multiple Instance Learning Pooling Functions for
Sound Event Detection with Weak Labeling", ICASSP 2019, arXiv 1810.09050, whose larger net this is:
9,980,527 trainable parameters. Recipe as in dcase2017_task4.py.

    mmat fetch audioset --trust-server --out lists
    python experiments/audioset.py --lists lists --media clips         the balanced list
    python experiments/audioset.py --lists lists --media clips --unbalanced --net crnn

Killed and started again it goes on where it was. Results: runs/audioset/. Expected runtime: each
training prints its own, measured, before it starts. Never run on the whole corpus: its media
cannot be had here. Reference scores: the authors give none of AudioSet itself that we hold; of
their TALNet on DCASE 2017 see dcase2017_task4.py.

Test clips are the list eval_segments.csv. Ranking figures need no thresholds; micro F1 stands
beside them. `--systems audio,video,fused` looks at the pictures too.
"""

import pathlib
from collections.abc import Sequence

import options
import results
from common import figures_table
from corpus import corpus_of
from systems import Systems

from mmat.files import InputError
from mmat.lists.read import ReadList, named_label_set, read_lists

LABELS, BALANCED, TEST = (
    "class_labels_indices.csv",
    "balanced_train_segments.csv",
    "eval_segments.csv",
)
UNBALANCED = "unbalanced_train_segments.csv"
FIGURES = ("mean_average_precision", "mean_roc_auc", "f1")


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser(__doc__, "runs/audioset", net="talnet", systems="audio")
    parser.add_argument("--lists", metavar="DIR", help="the corpus's lists, to prepare")
    parser.add_argument("--unbalanced", action="store_true", help="its two million clips too")
    arguments = parser.parse_args(argv)
    strategy = options.begin(arguments)
    corpus = corpus_of(
        arguments, lambda: read_audioset(arguments.lists, arguments.unbalanced), "--lists DIR"
    )
    systems = Systems(arguments, corpus, strategy, monitor="val_map").trained()
    if not systems:
        return  # of several machines the first goes on alone
    out, measured = pathlib.Path(arguments.out), {}
    if corpus.has("test"):
        found = results.evaluated(corpus, systems, "test", out)
        measured["test"] = {name: evaluation.report for name, evaluation in found.items()}
        print(f"\n{figures_table(measured['test'], FIGURES)}")
        for name, of in measured["test"].items():
            print(f"{name}: d' {of['d_prime']}")
    results.write_report(out, arguments, systems, measured)


def read_audioset(folder: str | None, unbalanced: bool) -> ReadList | None:
    """Read the corpus's lists and its label set, all from one folder."""
    if folder is None:
        return None
    lists = pathlib.Path(folder)
    names = (BALANCED, *((UNBALANCED,) if unbalanced else ()), TEST)
    for name in (LABELS, *names):
        if not (lists / name).is_file():
            raise InputError(f"{lists / name}: not there; `mmat fetch audioset` fetches the lists")
    return read_lists([lists / name for name in names], named_label_set(lists / LABELS))


if __name__ == "__main__":
    options.script(main)
