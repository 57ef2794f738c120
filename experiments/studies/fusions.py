"""Branches and fusions on the mini corpus: audio, video, late and middle fusion, 5 seeds.

    python -m experiments.studies.fusions       about 25 minutes on 2 cores the first time;
                                                runs/studies/fusions.json and a figure; test F1 43
                                                by late fusion, 33 by the audio branch

The audio branches are those of the short schedule, from scratch. Late fusion weighs the branches'
log-odds, two weights a class; middle fusion corrects it by a small network on both embeddings. Both
are ours, and both are learnt on validation clips.
"""

import os
import sys

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np

from experiments.mini import train_fusion, train_video
from experiments.studies import common
from experiments.studies.common import gain_rows, markdown_table, means_table
from mmat.cli.common import exit_status
from mmat.corpora.mini import mini_labels
from mmat.files import atomic_path
from mmat.models.fusion import fused_model, middle_fusion
from mmat.models.predict import Predictor, shuffle_pictures
from mmat.plots.studies import plot_groups

SYSTEMS = ("audio", "video", "late", "middle", "late, pictures exchanged")
MIDDLE_EPOCHS = 30


def main() -> None:
    arguments = common.parse_arguments(__doc__, common.SEEDS)
    chosen = common.schedules(arguments.precision, arguments.seeds)[: arguments.seeds]
    common.train_missing(chosen)
    data = common.read_data()
    by_seed = [systems(run, data) for run in chosen]
    figures = {
        name: common.summary(common.tagging(data, own[name]) for own in by_seed) for name in SYSTEMS
    }
    columns = ("validation F1", "F1", "mAP")
    print(means_table("system, %", figures, columns))
    audio = [own["audio"] for own in by_seed]
    gains = {}
    for name in ("late", "middle"):
        fused = [own[name] for own in by_seed]
        for seed in range(len(fused)):
            gains[f"{name}, seed {seed}"] = common.gains(data, audio[seed:][:1], fused[seed:][:1])
        gains[f"{name}, mean of {len(fused)}"] = common.gains(data, audio, fused)
    print("\n" + markdown_table(*gain_rows(gains)))
    common.write_json("fusions.json", {"systems": figures, "gains over audio": gains})
    plot_groups(common.FOLDER / "fusions.png", figures, ("F1", "mAP"), "test, %")
    print(f"{common.FOLDER}/fusions.json, fusions.png")


def systems(run: common.Run, data: dict) -> dict[str, dict]:
    """Validation and test scores of every system that has this run as its audio branch; kept."""
    path = common.FOLDER / f"fusions-{run.name}.npz"
    if not path.exists():
        with atomic_path(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **_scores(run, data))
    with np.load(path, allow_pickle=False) as kept:
        return {
            name: {f"{split}_clip": kept[f"{name}/{split}"] for split in ("validation", "test")}
            for name in SYSTEMS
        }


def _scores(run: common.Run, data: dict) -> dict[str, np.ndarray]:
    keras.utils.set_random_seed(run.seed)
    audio = keras.saving.load_model(common.FOLDER / f"{run.name}.keras")
    video = train_video(data, mini_labels())
    models = {
        "audio": audio,
        "video": video,
        "late": train_fusion(data, audio, video),
        "middle": train_middle(data, audio, video),
    }
    predictors = {name: Predictor(model) for name, model in models.items()}
    kept = {
        f"{name}/{split}": predictor(data[split])["clip"]
        for name, predictor in predictors.items()
        for split in ("validation", "test")
    }
    moved = shuffle_pictures(data["test"], run.seed)
    kept["late, pictures exchanged/validation"] = kept["late/validation"]
    kept["late, pictures exchanged/test"] = predictors["late"](moved)["clip"]
    return kept


def train_middle(data: dict, audio: keras.Model, video: keras.Model) -> keras.Model:
    """The middle fusion's weights, learnt on validation clips as those of the late one are."""
    rates = data["train"]["weak_labels"].mean(axis=0)
    fused = fused_model(audio, video, fusion=middle_fusion, label_rates=rates)
    fused.compile(keras.optimizers.Adam(5e-3), loss={"clip": "binary_crossentropy"})
    own = {name: data["validation"][name] for name in fused.input}
    truth = {"clip": data["validation"]["weak_labels"]}
    fused.fit(own, truth, batch_size=32, epochs=MIDDLE_EPOCHS, verbose=0)
    return fused


if __name__ == "__main__":
    sys.exit(exit_status(main))
