"""Is the gain of video a gain over a strong audio system? Late fusion over two of them.

The CRNN from scratch, and a head on frozen YAMNet, which heard AudioSet. Each is tuned by
validation mAP: the CRNN's schedule, the head's rate and dropout (`head_grid.py`).

    python -m experiments.studies.strong_audio          5 seeds; runs/studies/strong_audio.json and
                                                        a figure; video adds 11 points of test F1
                                                        to the CRNN, 5 to the head on YAMNet
    python -m experiments.studies.strong_audio --kept   of the trainings that are there
"""

import os
import statistics
import sys

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras

from experiments.heads import HEAD_RECIPE
from experiments.mini import late_scores, train_video
from experiments.studies import common
from experiments.studies.common import gain_rows, markdown_table, means_table
from mmat.cli.common import exit_status
from mmat.corpora.mini import mini_labels
from mmat.files import InputError
from mmat.metrics.bootstrap import Difference
from mmat.models.predict import Predictor
from mmat.plots.studies import plot_groups

WEAK, STRONG, LESS = "CRNN", "YAMNet", "YAMNet less CRNN"
FIGURES = {"F1": "f1", "mAP": "mean_average_precision"}
SPLITS = ("validation", "test")


def main() -> None:
    kept_help = "train nothing anew, take the trainings that are there"
    arguments = common.parse_arguments(__doc__, common.SEEDS, kept=kept_help)
    schedules = common.schedules(arguments.precision, arguments.seeds)
    on_yamnet = heads(arguments.precision, arguments.seeds)
    if not arguments.kept:
        common.train_missing([*schedules, *on_yamnet])
    data = common.read_data()
    chosen = {WEAK: best_schedule(data, schedules), STRONG: complete(on_yamnet)}
    scores = {name: [with_video(data, run) for run in own] for name, own in chosen.items()}
    figures = {
        f"{name}: {system}": common.summary(common.tagging(data, x[system]) for x in own)
        for name, own in scores.items()
        for system in ("audio", "fused")
    }
    columns = ("validation mAP", *FIGURES)
    print(f"{WEAK}: {chosen[WEAK][0].epochs} epochs; {arguments.seeds} seeds each")
    print(means_table("system, %", figures, columns))
    gains = video_gains(data, scores)
    print("\n" + markdown_table(*gain_rows(gains)))
    print("\n" + verdict(gains))
    kept = {"runs": {name: [run.name for run in own] for name, own in chosen.items()}}
    kept |= {"systems": figures, "gains": gains}
    common.write_json("strong_audio.json", kept)
    plot_groups(common.FOLDER / "strong_audio.png", figures, tuple(FIGURES), "test, %")
    print(f"{common.FOLDER}/strong_audio.json, strong_audio.png")


def heads(dtype: str, seeds: int = common.SEEDS) -> list[common.Run]:
    """Linear softmax on frozen YAMNet."""
    epochs = HEAD_RECIPE.epochs
    return [common.Run("linear", epochs, dtype, seed, "yamnet") for seed in range(seeds)]


def complete(chosen: list[common.Run]) -> list[common.Run]:
    """The same runs; raises InputError that names the first that is not there."""
    for run in chosen:
        if not run.is_kept:
            raise InputError(
                f"{common.FOLDER}: run {run.name} is not there; leave out --kept, or ask for fewer "
                "--seeds"
            )
    return chosen


def best_schedule(data: dict, chosen: list[common.Run]) -> list[common.Run]:
    """Of the schedules whose runs are all there, the one of the greatest mean validation mAP."""
    by_epochs = {}
    for run in chosen:
        by_epochs.setdefault(run.epochs, []).append(run)
    there = [own for own in by_epochs.values() if all(run.is_kept for run in own)]

    def validation(own):
        return statistics.fmean(common.tagging(data, run.scores())["validation mAP"] for run in own)

    return max(there, key=validation) if there else complete(chosen)


def with_video(data: dict, run: common.Run) -> dict[str, dict]:
    """Validation and test scores of an audio system that was kept, and of its late fusion."""
    keras.utils.set_random_seed(run.seed)
    video = train_video(data, mini_labels())
    predictor = Predictor(video)
    seen = {split: predictor(data[split])["clip"] for split in SPLITS}
    heard = {split: run.scores()[f"{split}_clip"] for split in SPLITS}
    fused = late_scores(data, heard, seen)
    systems = {"audio": heard, "fused": fused}
    return {
        name: {f"{split}_clip": own[split] for split in SPLITS} for name, own in systems.items()
    }


def video_gains(data: dict, scores: dict) -> dict[str, dict[str, Difference]]:
    """What video adds to each audio system, and how much more it adds to the strong one."""
    gains = {}
    audio, fused = (
        {name: [x[system] for x in own] for name, own in scores.items()}
        for system in ("audio", "fused")
    )
    for label, figure in FIGURES.items():
        for name in scores:
            gains[f"{label}, {name}"] = common.gains(data, audio[name], fused[name], figure)
        # (fused - audio) of the one less that of the other is twice a difference of two means.
        lower, upper = [*audio[STRONG], *fused[WEAK]], [*fused[STRONG], *audio[WEAK]]
        halves = common.gains(data, lower, upper, figure)
        gains[f"{label}, {LESS}"] = {
            by: Difference(2 * x.estimate, 2 * x.low, 2 * x.high, x.share_above_zero)
            for by, x in halves.items()
        }
    return gains


def verdict(gains: dict) -> str:
    """One line on F1: whether video adds less to the strong audio system, and how sure that is."""
    weak, strong = (gains[f"F1, {name}"]["group"] for name in (WEAK, STRONG))
    less = gains[f"F1, {LESS}"]["group"]
    compared = "less than" if less.estimate < 0 else "no less than"
    sure = "not " if less.low <= 0 <= less.high else ""
    return (
        f"video adds {100 * strong.estimate:+.1f} points of F1 to the head on {STRONG}, {compared} "
        f"the {100 * weak.estimate:+.1f} to the {WEAK} from scratch; by source group that "
        f"difference is {sure}beyond chance"
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
