"""Train on clips of your own: audio, video and fusion, thresholds, figures, models to use.

    mmat prepare list.csv --media clips --out shards
    python experiments/train.py --data shards                     with clips prepared before
    python experiments/train.py --list list.csv --media clips     prepares them first
    mmat export runs/train/fused --out export                     what comes of it, to tag with

The list is a CSV of `file,labels[,split,source_group,…]` (docs/data.md). Whether a clip has several
labels, one of them or values says the column `task` of --labels. Where none of its clips is of the
split `validation`, a tenth of the training clips is held out, whole source groups of a list, whole
videos or single clips of shards. Shards may hold clips with lengths of their own (`mmat prepare
--clip-seconds whole`). Figures are those of the split `test`, if there is one. Killed and started
again it goes on where it was. Each training prints its cost, measured, before it starts; the recipe
is that of the authors of arXiv 1712.09680, and long for a small corpus: see docs/training.md for
shorter ones.
"""

import pathlib
from collections.abc import Sequence

import options
import results
from common import figures_table, gain_line
from corpus import Corpus, corpus_of
from systems import Systems

from mmat.files import InputError
from mmat.lists.read import ReadList, named_label_set, read_list
from mmat.metrics.tagging import figure_names


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser(__doc__, "runs/train")
    parser.add_argument("--list", metavar="CSV", help="your clips, to prepare")
    parser.add_argument("--labels", metavar="CSV", help="index,mid,display_name[,task]: of the "
                        "list, or what the shards must have")  # fmt: skip
    arguments = parser.parse_args(argv)
    strategy = options.begin(arguments)
    if arguments.data and arguments.list:
        raise InputError("--data and --list: clips are prepared already, or they are not")
    labels = named_label_set(arguments.labels) if arguments.labels else None

    def read() -> ReadList | None:
        return arguments.list and read_list(arguments.list, labels)

    corpus = corpus_of(arguments, read, "--list CSV")
    check_labels(arguments.labels, labels, corpus)
    systems = Systems(arguments, corpus, strategy).trained()
    if not systems:
        return  # of several machines the first goes on alone
    out, measured = pathlib.Path(arguments.out), {}
    if corpus.has("test"):
        found = results.evaluated(corpus, systems, "test", out)
        gain = results.fused_over_audio(found)
        scores = {name: evaluation.report for name, evaluation in found.items()}
        measured["test"] = {"systems": scores, "fused_over_audio": gain}
        names = figure_names(corpus.labels.task)
        print(f"\n{figures_table(scores, names)}")
        if gain:
            print(gain_line(gain, names[0]))
    else:
        print("no split 'test': the models are saved, and were measured on validation alone")
    results.write_report(out, arguments, systems, measured)


def check_labels(path: str | None, labels, corpus: Corpus) -> None:
    """Raise InputError where the shards have other labels, another order of them, or task."""
    if labels is None or (labels.names, labels.task) == (corpus.labels.names, corpus.labels.task):
        return
    for i, pair in enumerate(zip(labels.names, corpus.labels.names, strict=False)):
        if pair[0] != pair[1]:
            where = f"number {i} is {pair[0]!r}, there {pair[1]!r}"
            break
    else:
        said = [f"{len(x)} labels, {x.task}" for x in (labels, corpus.labels)]
        where = f"{said[0]}, there {said[1]}"
    raise InputError(
        f"{path}: not the labels of {corpus.folder} ({where}); prepare the clips with --labels "
        f"{path}, or name {corpus.folder}/labels.csv"
    )


if __name__ == "__main__":
    options.script(main)
