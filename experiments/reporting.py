"""What an experiment leaves: report.json, truth and predictions as TSV, a table, a figure."""

import contextlib
import dataclasses
import json
import pathlib
import time

import numpy as np
import tabulate
from common import between, draws, gain_line, mean_and_spread, mean_cell, mean_gains

from mmat.evaluation.files import write_tags_tsv, write_truth_tsv
from mmat.files import atomic_path
from mmat.metrics.bootstrap import mean_intervals
from mmat.metrics.tagging import best_constant, mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire, tune_thresholds
from mmat.plots import plot_systems

SHARED_THRESHOLD, CLASS_THRESHOLDS = "shared", "class"


@dataclasses.dataclass(frozen=True)
class Scores:
    """A system's test scores `(clips, classes)` and the thresholds that validation gave it."""

    test: np.ndarray
    thresholds: np.ndarray
    validation_f1: float

    @classmethod
    def tuned(cls, truth, validation, test, how: str) -> "Scores":
        """Tune on validation alone: one threshold for all classes, or one a class.

        With a single recording a class in validation, a threshold a class fits that recording.
        """
        if how == CLASS_THRESHOLDS:
            thresholds = tune_thresholds(truth, validation)
        else:
            shared = best_single_threshold(truth, validation)
            thresholds = np.full(truth.shape[1], shared, np.float32)
        f1 = precision_recall_f1(truth, fire(validation, thresholds)).f1
        return cls(test, thresholds, float(f1))

    def on_test(self, test: np.ndarray) -> "Scores":
        """The same thresholds with other test scores."""
        return dataclasses.replace(self, test=test)


class Report:
    """Collects figures over seeds and writes them into a folder."""

    EXCHANGED = "fused, pictures exchanged between clips"

    def __init__(self, folder: pathlib.Path, settings: dict, groups: dict[str, str]):
        """groups: the source group of each clip by its id, for intervals over groups too."""
        self.folder, self.settings, self.groups = folder, settings, groups
        self.folder.mkdir(parents=True, exist_ok=True)
        self.seconds: dict[str, float] = {}
        self.figures: dict[str, list[dict]] = {}
        self.parameters: dict[str, int] = {}
        self.truth: np.ndarray = np.zeros((0, 0), bool)
        self.ids: list[str] = []
        self.trainings: dict[str, list[tuple]] = {}
        self.constant: dict = {}

    @contextlib.contextmanager
    def stage(self, name: str):
        """Print a stage and count its seconds, over all seeds."""
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def add_seed(self, seed: int, scores: dict, models: dict, data: dict, labels) -> None:
        """Compute one seed's figures and write its predictions."""
        test = data["test"]
        self.ids, self.truth = test["ids"], test["weak_labels"] > 0
        truth = self.truth
        constant = best_constant(data["validation"]["weak_labels"] > 0, truth)
        self.constant = constant.test._asdict()
        write_truth_tsv(self.folder / "truth.tsv", test["ids"], labels.names, truth)
        predictions = self.folder / "predictions"
        predictions.mkdir(exist_ok=True)
        for name, system in scores.items():
            fired = fire(system.test, system.thresholds)
            figures = {
                key: float(x) for key, x in precision_recall_f1(truth, fired)._asdict().items()
            }
            figures["mean_average_precision"] = float(mean_average_precision(truth, system.test))
            figures["validation_f1"] = system.validation_f1
            self.figures.setdefault(name, []).append(figures)
            self.trainings.setdefault(name, []).append((fired, system.test))
            path = predictions / f"{name.replace(', ', '-').replace(' ', '-')}-seed{seed}.tsv"
            write_tags_tsv(path, test["ids"], labels.names, fired, system.test)
        self.parameters |= {
            name: sum(int(np.prod(w.shape)) for w in model.weights)
            for name, model in models.items()
        }

    def _intervals(self) -> dict[str, dict]:
        """95 % intervals of each system's mean figures over the trainings, by clip and by group."""
        found: dict[str, dict] = {name: {} for name in self.trainings}
        for by, groups in draws(self._groups).items():
            for name, trainings in self.trainings.items():
                own = mean_intervals(self.truth, trainings, groups)
                for figure in ("f1", "mean_average_precision"):
                    found[name].setdefault(figure, {})[by] = [own[figure].low, own[figure].high]
        return found

    def _gain(self) -> dict[str, dict]:
        """How much F1 the fusion adds to audio, paired: each training, and the mean of all."""
        audio, fused = self.trainings["audio"], self.trainings["fused"]
        pairs = {f"seed {i}": ([audio[i]], [fused[i]]) for i in range(len(audio))}
        return {
            name: {
                by: gains["f1"]._asdict()
                for by, gains in mean_gains(self.truth, *pair, self._groups).items()
            }
            for name, pair in (pairs | {"mean": (audio, fused)}).items()
        }

    @property
    def _groups(self) -> list[str]:
        return [self.groups[clip] for clip in self.ids]

    def as_dict(self) -> dict:
        systems = {
            name: {key: mean_and_spread([one[key] for one in seeds]) for key in seeds[0]}
            | {"parameters": self.parameters.get(name, self.parameters["fused"])}
            for name, seeds in self.figures.items()
        }
        for name, own in self._intervals().items():
            for figure, ends in own.items():
                systems[name][figure]["interval"] = ends
        constant = {key: mean_and_spread([float(value)]) for key, value in self.constant.items()}
        systems["best_constant"] = constant | {"parameters": 0}
        seconds = {name: round(value, 1) for name, value in self.seconds.items()}
        return {
            "systems": systems,
            "fused_over_audio": self._gain(),
            "seconds": seconds,
            "settings": self.settings,
        }

    def write(self) -> None:
        """Write the figure `systems.png`, and last `report.json`: with it the run is finished."""
        plot_systems(self.folder / "systems.png", self.as_dict())
        with atomic_path(self.folder / "report.json") as part:
            part.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")

    def finished(self) -> dict | None:
        """Return the report of an earlier run with the same settings, if it came to its end."""
        try:
            report = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return report if report.get("settings") == self.settings else None

    def show(self, report: dict) -> None:
        """Print the table and where everything lies."""
        rows = [
            [name, _percent(system["f1"]), _interval(system["f1"])]
            + [_percent(system[key]) for key in ("precision", "recall")]
            + [_percent(system.get("mean_average_precision"))]
            for name, system in report["systems"].items()
        ]
        head = ["test, %", "F1", "95 % by clip", "precision", "recall", "mAP"]
        print("\n" + tabulate.tabulate(rows, head, disable_numparse=True))
        for by, gain in report["fused_over_audio"]["mean"].items():
            print(gain_line({"f1": gain}, by=by))
        print("seconds:", ", ".join(f"{k} {v:.0f}" for k, v in report["seconds"].items()))
        folder = self.folder
        print(f"\n{folder}/report.json     the figures; truth.tsv and predictions/ lie beside it")
        print(f"{folder}/export/         the SavedModel: mmat tag FILE --model {folder}/export")
        print(f"{folder}/tagged.png      the tagged clip")
        print(f"{folder}/tensorboard/    tensorboard --logdir {folder}/tensorboard")


def _percent(figure: dict | None) -> str:
    if figure is None:
        return ""
    of_several = len(figure["seeds"]) > 1
    return mean_cell(figure, 100) if of_several else f"{100 * figure['mean']:.1f}"


def _interval(figure: dict) -> str:
    return between(figure["interval"]["clip"]) if "interval" in figure else ""
