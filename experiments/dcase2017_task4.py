"""DCASE 2017 task 4 (smart cars): audio, video and fusion by the authors' recipe.

Paper: Li, Wang, Szurley, Metze and Das, "A Light-Weight Multimodal Framework for Improved
Environmental Audio Tagging", ICASSP 2018, arXiv 1712.09680. The audio recipe is that of Wang, Li
and Metze (arXiv 1810.09050) and the authors' public code: class-balanced batches of 100, Adam at
3e-4, 50 checkpoints of 500 batches, the rate halved after 3 without a better validation loss.
What of video and fusion is ours: docs/models.md.

    mmat fetch dcase2017 --out lists
    python experiments/dcase2017_task4.py --lists lists --media clips      prepare, train, score
    python experiments/dcase2017_task4.py --data SHARDS --lists lists      with clips prepared before

Killed and started again it goes on where it was. Results: runs/dcase2017_task4/.
Expected runtime: docs/cost.md; each training prints its own, measured, before it starts. The paper
says 6 hours on one GPU. Never run on the whole corpus: its media cannot be had here.

Reference scores, all theirs, tagging F1 on the 488 test clips in per cent (segment ER; F1 of 1 s):

               max              mean              linear           exp               attention
    CRNN       45.3; 84.7, 35.4 50.0; 105.9, 41.3 49.5; 84.3, 43.7 48.5; 100.6, 42.8 49.2; 102.5, 40.1
    TALNet (trained on AudioSet)
               52.6; 81.5, 42.2 53.8; 101.8, 46.8 52.3; 78.9, 45.4 52.3; 89.2, 46.2 51.4; 92.0, 45.5

The paper's gain of fusion over audio: 5.3 points of F1. Evaluation set, others: challenge baseline
18.2, winner 55.6, best published since 64.6 (arXiv 1912.04761).
"""  # noqa: E501 - the authors' table in one piece

import pathlib
from collections.abc import Sequence

import options
import results
from common import figures_table, gain_line
from corpus import corpus_of
from systems import Systems

from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList, named_label_set, read_lists
from mmat.metrics.official import score_events, score_tagging

# Of each split: its list, its weak and its strong truth, as `mmat fetch dcase2017` names them.
RELEASE = "groundtruth_release/groundtruth"
FILES = {
    "test": (
        "testing_set.csv",
        "groundtruth_weak_label_testing_set.csv",
        "groundtruth_strong_label_testing_set.csv",
    ),
    "evaluation": (
        f"{RELEASE}_weak_label_evaluation_set.csv",
        f"{RELEASE}_weak_label_evaluation_set.csv",
        f"{RELEASE}_strong_label_evaluation_set.csv",
    ),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser(__doc__, "runs/dcase2017_task4", systems="audio,video,fused")
    parser.add_argument("--lists", metavar="DIR", help="the task's lists: to prepare, to score by")
    arguments = parser.parse_args(argv)
    strategy = options.begin(arguments)
    corpus = corpus_of(arguments, lambda: read_task(arguments.lists), "--lists DIR")
    systems = Systems(arguments, corpus, strategy).trained()
    if not systems:
        return  # of several machines the first goes on alone
    out, measured = pathlib.Path(arguments.out), {}
    for split in (split for split in FILES if corpus.has(split)):
        found = results.evaluated(corpus, systems, split, out)
        scores = {
            name: evaluation.report
            | official(out / "report" / f"{name}-{split}", split, arguments.lists)
            for name, evaluation in found.items()
        }
        gain = results.fused_over_audio(found)
        measured[split] = {"systems": scores, "fused_over_audio": gain}
        show(split, scores, gain)
    results.write_report(out, arguments, systems, measured)


def read_task(folder: str | None) -> ReadList | None:
    """Read the lists of the task; the evaluation set's if it is there."""
    if folder is None:
        return None
    lists = pathlib.Path(folder)
    for name in ("training_set.csv", FILES["test"][0]):
        if not (lists / name).is_file():
            raise InputError(f"{lists / name}: not there; `mmat fetch dcase2017` fetches the lists")
    labels = named_label_set("dcase2017")
    paths = [lists / "training_set.csv", lists / FILES["test"][0]]
    parts = [read_lists(paths, labels, _if_there(lists / FILES["test"][2]))]
    evaluation, _, strong = (_if_there(lists / name) for name in FILES["evaluation"])
    if evaluation:
        parts.append(read_lists([evaluation], labels, strong, split="evaluation"))
    clips: dict[str, Clip] = {}  # by id; of a clip that is in two lists the first counts
    for clip in (clip for part in parts for clip in part.clips):
        clips.setdefault(clip.id, clip)
    dropped = tuple(row for part in parts for row in part.dropped)
    return ReadList([*clips.values()], labels, dropped)


def official(folder: pathlib.Path, split: str, lists: str | None) -> dict:
    """Return subtask A's figure as the challenge counts it and strictly, and subtask B's.

    All in per cent. By the task's own truth where its lists are there; else by the shards', which
    then tells of tags alone.
    """
    said = folder / "official"
    _, weak, strong = (_if_there(pathlib.Path(lists or said, name)) for name in FILES[split])
    truth, tags = weak or said / "tagging_truth.csv", said / "tagging_prediction.csv"
    events = _if_there(said / "events_prediction.csv")
    return {
        "subtask_a": {
            "official": score_tagging(truth, tags),
            "strict": score_tagging(truth, tags, strict=True),
        },
        "subtask_b": score_events(strong, events) if strong and events else None,
    }


def show(split: str, scores: dict[str, dict], gain: dict | None) -> None:
    rows = {}
    for name, of in scores.items():
        when = of["subtask_b"] and of["subtask_b"]["micro"]
        rows[name] = of | {
            "official F1": of["subtask_a"]["official"]["micro"]["f1"] / 100,
            "strict F1": of["subtask_a"]["strict"]["micro"]["f1"] / 100,
            "segment ER": when["error_rate"] / 100 if when else None,
            "segment F1": when["f1"] / 100 if when else None,
        }
    columns = ("official F1", "strict F1", "f1", "mean_average_precision")
    print(f"\n{split}\n{figures_table(rows, (*columns, 'segment ER', 'segment F1'))}")
    if gain:
        print(gain_line(gain))


def _if_there(path: pathlib.Path) -> pathlib.Path | None:
    return path if path.is_file() else None


if __name__ == "__main__":
    options.script(main)
