"""The paper's system and what starts from names, on the mini corpus: train, compare, export, tag.

Paper: Li, Wang, Szurley, Metze and Das, arXiv 1712.09680; the audio recipe is its authors', except
for what a corpus of 400 clips asks (augmentation, dropout, AdamW). Beside it a head on frozen
YAMNet, the tagger by names alone, and the same after learning from the 400 clips
(`mmat.training.learn`, docs/learning.md). Command, duration and result:

    python experiments/mini.py              one seed, about 10 minutes on 2 cores, runs/mini/
    python experiments/mini.py --seeds 3    README's table, about 40 minutes, runs/mini-3/

Expected scores, three seeds: docs/results.md. Real recordings and photographs, composed clips: a
demonstration, no benchmark of the field. It leaves in its folder a model folder of each system,
`export/`, `report.json`, `systems.png`, `truth.tsv`, `predictions/`, `tagged.png`, `tensorboard/`
and in `trainings/` the audio branches, with which an interrupted run goes on.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from mmat.startup import ENVIRONMENT

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found
os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np
import tabulate

import mmat
from experiments.figures import (
    between,
    draws,
    gain_line,
    mean_and_spread,
    mean_cell,
    mean_gains,
)
from experiments.heads import HEAD_RECIPE, HeadTrainer, embedded
from experiments.scores import SHARED_THRESHOLD, Scores
from mmat.corpora.mini import fetch_and_compose, mini_labels, mini_source_groups, read_mini
from mmat.evaluation.files import write_tags_tsv, write_truth_tsv
from mmat.export.savedmodel import export_saved_model
from mmat.files import atomic_path, cache_folder
from mmat.labels import LabelSet
from mmat.metrics.bootstrap import mean_intervals
from mmat.metrics.tagging import best_constant, mean_average_precision, precision_recall_f1
from mmat.models.augment import MixupMels, RandomFilter, SpecAugment
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.fusion import Fallback, LateFusion, ModalityDropout
from mmat.models.names import zero_shot_bundle
from mmat.models.pooling import linear_softmax
from mmat.models.predict import Predictor, predict, shuffle_pictures
from mmat.plots.studies import plot_systems
from mmat.pretrained.registry import yamnet
from mmat.shards.frozen import FROZEN_INPUTS
from mmat.shards.read import MODEL_INPUTS, read_arrays
from mmat.training.learn import learn
from mmat.training.precision import fastest_dtype
from mmat.training.submodels import compiled_back_end, front_end, late_head
from mmat.training.tensorboard.callback import tensorboard_callbacks
from mmat.training.tensorboard.clips import FixedClips

IMAGE_NETWORK, AUDIO_ENCODER = "efficientnet_lite0", "yamnet"
SPLITS = ("train", "validation", "test")
AUDIO_EPOCHS, AUDIO_BATCH, AUDIO_RATE = 24, 16, 1e-3
VIDEO_EPOCHS, VIDEO_BATCH, VIDEO_RATE = 60, 64, 0.05
FUSION_EPOCHS, FUSION_BATCH, FUSION_RATE = 60, 32, 0.02
N_SHOWN = 6  # clips in TensorBoard
DATA = "the mini corpus: composed clips of recordings and photographs in five Debian packages"
# Of each system, what it hears, what it sees, and both; the paper's are named by these alone.
SENSES = {"audio": "audio", "video": "video", "fused": "clip"}
EXCHANGED = "fused, pictures exchanged between clips"
HEAD, NAMES, LEARNT = "head on YAMNet", "names alone", "learnt from names"
# Gains in the report: name, the system that should be above, and the one below it.
GAINS = {
    "fused over audio": ("fused", "audio"),
    "learnt from names: fused over audio": (f"{LEARNT}: fused", f"{LEARNT}: audio"),
    "learnt from names over names alone, fused": (f"{LEARNT}: fused", f"{NAMES}: fused"),
    "learnt from names over names alone, audio": (f"{LEARNT}: audio", f"{NAMES}: audio"),
}


def main() -> None:
    arguments = parse_arguments()
    of_seeds = f"-{arguments.seeds}" * (arguments.seeds > 1)
    folder = pathlib.Path(arguments.out or f"runs/mini{of_seeds}")
    settings = {
        "mmat": mmat.__version__,
        "report": 3,  # its form: one of an older form is made anew
        "seeds": arguments.seeds,
        "epochs": arguments.epochs,
    }
    report = finished(folder, settings)
    if report and not arguments.again:
        print(f"{folder}: trained already; --again trains anew")
        return show(folder, report)
    seconds, seeds, labels = {}, [], mini_labels()
    with stage("prepare", seconds):
        shards = prepare_shards(labels)
        data = read_data()
    with stage("learn from names", seconds):
        named, bundle = learn_from_names(shards, data, labels)
    with stage("embed", seconds):
        trainer = HeadTrainer(data, embedded(data, yamnet), yamnet)
    dtype = fastest_dtype()
    print(f"training the audio branch in {dtype}")
    for seed in range(arguments.seeds):
        keras.utils.set_random_seed(seed)
        logs = folder / "tensorboard" / f"seed-{seed}"
        with stage("train audio", seconds):
            audio = kept_audio(arguments, folder, data, labels, seed, dtype)
        with stage("train video", seconds):
            video = train_video(data, labels, logs / "video")
        with stage("train fusion", seconds):
            fused = train_fusion(data, audio, video, logs / "fusion")
        models = {"audio": audio, "video": video, "fused": fused}
        with stage("evaluate", seconds):
            scores = evaluate(fused, data, SENSES)  # its branches are the other two systems
            moved = shuffle_pictures(data["test"], seed)
            scores[EXCHANGED] = scores["fused"].on_test(predict(fused, moved)["clip"])
        with stage("train head", seconds):
            scores |= head_scores(trainer, data, video, seed, dtype)
        with stage("evaluate", seconds):
            scores |= named
            write_predictions(folder, seed, scores, data["test"], labels)
        seeds.append(scores)
        if seed == 0:
            save_models(folder, models, scores, data, labels)
            export_best(folder, scores, data, models | {f"{LEARNT}: fused": bundle.model}, labels)
    tag_a_clip(folder, data)
    report = report_of(data, seeds, models) | {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "settings": settings,
    }
    plot_systems(folder / "systems.png", report)
    with atomic_path(folder / "report.json") as part:  # last: with it the run is finished
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    show(folder, report)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="trainings to average over")
    parser.add_argument("--epochs", type=int, default=AUDIO_EPOCHS, help="of the audio branch")
    parser.add_argument("--again", action="store_true", help="train even if that was done before")
    parser.add_argument("--out", help="folder of the results (default: runs/mini or runs/mini-N)")
    return parser.parse_args()


@contextlib.contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Print a stage and count its seconds, over all seeds."""
    print(f"== {name}", flush=True)
    began = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


def prepare_shards(labels: LabelSet) -> pathlib.Path:
    """Composed clips to shards: sound, and what the frozen networks hear, and see in 8 frames."""
    media, shards = fetch_and_compose(), cache_folder() / "mini" / "shards"
    networks = {"image_network": IMAGE_NETWORK, "audio_encoder": AUDIO_ENCODER}
    mmat.prepare(read_mini(), media, shards, labels, **networks, overwrite=True)
    return shards


def read_data() -> dict[str, dict]:
    """The three splits of the prepared corpus as arrays, with what the frozen networks gave."""
    shards = cache_folder() / "mini" / "shards"
    inputs = [*MODEL_INPUTS, *FROZEN_INPUTS]
    return {split: read_arrays(shards, split, inputs=inputs) for split in SPLITS}


# What starts from names. It has no seed: the same clips always give the same weights.


def learn_from_names(shards, data, labels) -> tuple[dict[str, Scores], Bundle]:
    """Scores by names alone, and learnt from the training clips; the latter's bundle.

    Both are measured on what the frozen networks gave when the clips were prepared, so that they
    need not run again.
    """
    learnt = learn(mmat.open_corpus(shards), progress=True)
    print(f"ridges: {learnt.chosen['audio']}\n        {learnt.chosen['video']}")
    found, models = {}, {NAMES: names_alone(labels), LEARNT: learnt.frozen}
    for name, model in models.items():
        own = evaluate(model, data, SENSES)
        found |= {f"{name}: {system}": scores for system, scores in own.items()}
    moved = predict(learnt.frozen, shuffle_pictures(data["test"]))["clip"]
    found[f"{LEARNT}: {EXCHANGED}"] = found[f"{LEARNT}: fused"].on_test(moved)
    return found, learnt.bundle


def names_alone(labels: LabelSet) -> keras.Model:
    """The untrained tagger without its sound network: it takes `sound_scores`, as shards hold them.

    The waveform tells how long the clip is.
    """
    model = zero_shot_bundle(labels).model
    heard, _ = model.get_layer("sound_probabilities").input
    heard.name = "sound_scores"
    return keras.Model(model.input | {heard.name: heard}, model.output)


# Training.


def kept_audio(arguments, folder, data, labels, seed, dtype) -> keras.Model:
    """Return the seed's audio branch, trained unless an interrupted run left it."""
    path = folder / "trainings" / f"audio-{arguments.epochs}-{dtype}-seed{seed}.keras"
    if path.exists() and not arguments.again:
        print(f"{path}: trained already")
        return keras.saving.load_model(path)
    logs = folder / "tensorboard" / f"seed-{seed}" / "audio"
    audio = train_audio(data, labels, seed, dtype, arguments.epochs, logs)
    with atomic_path(path) as part:
        keras.saving.save_model(audio, part)
    return audio


def train_audio(
    data, labels, seed, dtype, epochs=AUDIO_EPOCHS, logs=None, pooling=linear_softmax
) -> keras.Model:
    """The authors' CRNN on log-mel that is shifted, filtered, hidden in parts, and mixed."""
    heard = {split: np.flatnonzero(data[split]["has_audio"]) for split in ("train", "validation")}
    truth = {split: data[split]["weak_labels"][clips] for split, clips in heard.items()}
    waveform = data["train"]["waveform"][heard["train"]]
    augmentation = (RandomFilter(0.5, seed=seed), SpecAugment(0.15, 0.2, seed=seed))
    options = {"pooling": pooling, "augmentation": augmentation, "dropout": 0.3}
    batches = (waveform[i : i + 32] for i in range(0, len(waveform), 32))
    audio = mmat.audio_branch(labels, adapt=batches, **options, dtype=dtype)
    # The log-mel is computed once, and what follows it is fitted.
    mels = {
        split: front_end(audio).predict(data[split]["waveform"][clips], batch_size=16, verbose=0)
        for split, clips in heard.items()
    }
    mixed = MixupMels(mels["train"], truth["train"], AUDIO_BATCH, seed=seed)
    trained = compiled_back_end(audio, AUDIO_RATE, epochs * len(mixed), 3 * len(mixed))
    callbacks = []
    if logs is not None:
        configuration = {"epochs": epochs, "batch_size": AUDIO_BATCH, "rate": AUDIO_RATE}
        configuration |= {"pooling": pooling, "dtype": dtype, "seed": seed, "system": "audio"}
        shown = heard["validation"][:N_SHOWN]
        callbacks = tensorboard_callbacks(
            logs,
            labels,
            configuration,
            lambda: (truth["validation"], trained.predict(mels["validation"], verbose=0)["clip"]),
            FixedClips.of(data["validation"], shown, mels["validation"][:N_SHOWN]),
        )
    trained.fit(mixed, epochs=epochs, callbacks=callbacks, verbose="auto" if callbacks else 2)
    # The same weights in float32: what is evaluated is what is exported, to the last digit.
    plain = mmat.audio_branch(labels, **options)
    plain.set_weights(audio.get_weights())
    return plain


def train_video(data, labels, logs=None) -> keras.Model:
    """Slope and offset of each class over the constant label map, from the training labels."""
    video = mmat.video_branch(labels, IMAGE_NETWORK)
    train, validation = data["train"], data["validation"]
    seen = train["has_video"]
    callbacks = []
    if logs is not None:
        predictor = Predictor(video)
        callbacks = tensorboard_callbacks(
            logs,
            labels,
            {"epochs": VIDEO_EPOCHS, "batch_size": VIDEO_BATCH, "rate": VIDEO_RATE}
            | {"system": "video"},
            lambda: (validation["weak_labels"], predictor(validation)["clip"]),
            drawn_every=20,
        )
    video.compile(keras.optimizers.Adam(VIDEO_RATE), loss={"clip": "binary_crossentropy"})
    video.fit(
        {"image_probabilities": train["image_probabilities"][seen]},
        {"clip": train["weak_labels"][seen]},
        batch_size=VIDEO_BATCH,
        epochs=VIDEO_EPOCHS,
        verbose=0,
        callbacks=callbacks,
    )
    return video


def train_fusion(data, audio, video, logs=None) -> keras.Model:
    """Two weights a class, learnt on validation clips.

    The audio branch knows the training recordings by heart, so on them it seems better than it
    is, and the fusion would learn to trust it too far.
    """
    validation = data["validation"]
    fused = mmat.fused_model(audio, video, label_rates=data["train"]["weak_labels"].mean(axis=0))
    both = validation["has_audio"] & validation["has_video"]
    scores = [predict(branch, validation)["clip"][both] for branch in (audio, video)]
    callbacks = [] if logs is None else tensorboard_callbacks(logs, mini_labels())
    fit_late(late_head(fused), scores, validation["weak_labels"][both], callbacks)
    return fused


def head_scores(trainer, data, video, seed, dtype) -> dict[str, Scores]:
    """A recurrent head on YAMNet's embeddings, and its late fusion with the video branch."""
    audio = trainer.train(HEAD_RECIPE, seed, dtype)
    predictor = Predictor(video)
    heard = {split: trainer.scores(audio, split)["clip"] for split in ("validation", "test")}
    seen = {split: predictor(data[split])["clip"] for split in ("validation", "test")}
    truth = data["validation"]["weak_labels"] > 0
    systems = {"audio": heard, "fused": late_scores(data, heard, seen)}
    return {
        f"{HEAD}: {name}": Scores.tuned(truth, own["validation"], own["test"], SHARED_THRESHOLD)
        for name, own in systems.items()
    }


def late_scores(data: dict, heard: dict, seen: dict) -> dict:
    """Each split's scores by a late fusion that learns its weights on validation.

    What `train_fusion` does with whole branches, on the scores that they gave: `(clips, classes)`.
    """
    rates = data["train"]["weak_labels"].mean(axis=0)
    branches = [keras.Input((len(rates),)) for _ in range(2)]
    keep = ModalityDropout()(branches)
    head = keras.Model(branches, LateFusion(rates)([*branches, keep]))
    both = data["validation"]["has_audio"] & data["validation"]["has_video"]
    scores = [own["validation"][both] for own in (heard, seen)]
    fit_late(head, scores, data["validation"]["weak_labels"][both])
    fused = {}
    for split in ("validation", "test"):
        own = [heard[split], seen[split]]
        presence = [data[split][name] for name in ("has_audio", "has_video")]
        fused[split] = Fallback()([head.predict(own, verbose=0), *own, *presence]).numpy()
    return fused


def fit_late(head, scores, truth, callbacks=()) -> None:
    """Fit a late fusion's weights to the scores of its branches."""
    head.compile(keras.optimizers.Adam(FUSION_RATE), loss="binary_crossentropy")
    head.fit(
        scores,
        truth,
        batch_size=FUSION_BATCH,
        epochs=FUSION_EPOCHS,
        verbose=0,
        callbacks=list(callbacks),
    )


# Evaluation, and what is left.


def evaluate(model: keras.Model, data: dict, outputs: Mapping[str, str]) -> dict[str, Scores]:
    """Scores of a model's outputs, by system; thresholds are tuned on validation alone."""
    predictor = Predictor(model)
    validation, test = (predictor(data[split]) for split in ("validation", "test"))
    truth = data["validation"]["weak_labels"] > 0
    return {
        system: Scores.tuned(truth, validation[name], test[name], SHARED_THRESHOLD)
        for system, name in outputs.items()
    }


def figures_of(truth: np.ndarray, scores: Scores) -> dict[str, float]:
    """Return one training's figures on the test clips."""
    found = precision_recall_f1(truth, scores.fired)._asdict()
    found["mean_average_precision"] = mean_average_precision(truth, scores.test)
    found["validation_f1"] = scores.validation_f1
    return {name: float(figure) for name, figure in found.items()}


def write_predictions(folder, seed, scores: dict[str, Scores], test: dict, labels) -> None:
    """Write truth.tsv, and the seed's predictions of each system."""
    predictions = folder / "predictions"
    predictions.mkdir(parents=True, exist_ok=True)
    write_truth_tsv(folder / "truth.tsv", test["ids"], labels.names, test["weak_labels"] > 0)
    for name, own in scores.items():
        path = predictions / f"{name.replace(', ', '-').replace(' ', '-')}-seed{seed}.tsv"
        write_tags_tsv(path, test["ids"], labels.names, own.fired, own.test)


def save_models(folder, models, scores, data, labels) -> None:
    """A folder of each of the paper's systems."""
    truth = data["test"]["weak_labels"] > 0
    for name, model in models.items():
        pictures = "" if name == "audio" else IMAGE_NETWORK
        figures = figures_of(truth, scores[name]) | {"data": DATA}
        bundle = Bundle(model, labels, scores[name].thresholds, pictures, figures=figures)
        save_bundle(folder / name, bundle)


def export_best(folder, scores, data, models: dict[str, keras.Model], labels) -> None:
    """The best system by validation as a SavedModel that needs TensorFlow alone."""
    best = max(models, key=lambda name: scores[name].validation_f1)
    figures = figures_of(data["test"]["weak_labels"] > 0, scores[best]) | {"data": DATA}
    pictures = "" if best == "audio" else IMAGE_NETWORK
    bundle = Bundle(models[best], labels, scores[best].thresholds, pictures, figures=figures)
    save_bundle(folder / "best", bundle)
    print(f"exporting {folder / 'export'}, the best by validation: {best}")
    export_saved_model(bundle, folder / "export")


def tag_a_clip(folder, data) -> None:
    """Tag a held-out clip by the command line: untrained, then with nothing but the export."""
    test = data["test"]
    both = test["has_audio"] & test["has_video"]
    position = int(np.flatnonzero(both)[0])
    clip = next(clip for clip in read_mini() if clip.id == test["ids"][position])
    path = fetch_and_compose(progress=False) / clip.file
    command = [sys.executable, "-m", "mmat", "tag", str(path)]
    print(f"\ntagging {clip.file}, in which sounds: {'; '.join(clip.labels)}", flush=True)
    print("by names alone, without any training", flush=True)
    labels = ";".join(mini_labels().names)
    subprocess.run([*command, "--labels", labels, "--explain"], check=True)
    print("\nthe same clip, by the best system on validation", flush=True)
    plot = ["--plot", str(folder / "tagged.png")]
    subprocess.run([*command, "--model", str(folder / "export"), *plot], check=True)


def report_of(data: dict, seeds: list[dict[str, Scores]], models: dict[str, keras.Model]) -> dict:
    """Return figures over all trainings with 95 % intervals, by clip and by source group.

    seeds: of each training the scores of every system.
    """
    truth = data["test"]["weak_labels"] > 0
    groups_of = mini_source_groups()
    groups = [groups_of[clip] for clip in data["test"]["ids"]]
    # The fusion with exchanged pictures is the fused model.
    weights = {name: model.count_params() for name, model in models.items()}
    runs = {name: [(own[name].fired, own[name].test) for own in seeds] for name in seeds[0]}
    systems = {}
    for name in runs:
        figures = [figures_of(truth, own[name]) for own in seeds]
        found = {key: mean_and_spread(own[key] for own in figures) for key in figures[0]}
        intervals = {
            by: mean_intervals(truth, runs[name], drawn) for by, drawn in draws(groups).items()
        }
        for key in ("f1", "mean_average_precision"):
            found[key]["interval"] = {by: [x[key].low, x[key].high] for by, x in intervals.items()}
        systems[name] = found | {"parameters": weights.get(name)}
    constant = best_constant(data["validation"]["weak_labels"] > 0, truth).test._asdict()
    constant = {key: mean_and_spread([value]) for key, value in constant.items()}
    systems["best_constant"] = constant | {"parameters": 0}
    gains = {
        name: {
            by: found["f1"]._asdict()
            for by, found in mean_gains(truth, runs[below], runs[above], groups).items()
        }
        for name, (above, below) in GAINS.items()
    }
    return {"systems": systems, "gains": gains}


def finished(folder: pathlib.Path, settings: dict) -> dict | None:
    """Return the report of an earlier run with the same settings, if it came to its end."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if report.get("settings") == settings else None


def show(folder: pathlib.Path, report: dict) -> None:
    """Print the table and where everything lies."""
    rows = []
    for name, own in report["systems"].items():
        by_clip = between(own["f1"]["interval"]["clip"]) if "interval" in own["f1"] else ""
        by_group = between(own["f1"]["interval"]["group"]) if by_clip else ""
        rest = [percent(own.get(x)) for x in ("precision", "recall", "mean_average_precision")]
        rows.append([name, percent(own["f1"]), by_clip, by_group, *rest])
    head = ["test, %", "F1", "95 % by clip", "by source group", "precision", "recall", "mAP"]
    print("\n" + tabulate.tabulate(rows, head, disable_numparse=True))
    for name, gain in report["gains"].items():
        for by, own in gain.items():
            print(gain_line({"f1": own}, name=name, by=by))
    print("seconds:", ", ".join(f"{k} {v:.0f}" for k, v in report["seconds"].items()))
    print(f"\n{folder}/report.json     the figures; truth.tsv and predictions/ lie beside it")
    print(f"{folder}/export/         the SavedModel: mmat tag FILE --model {folder}/export")
    print(f"{folder}/tagged.png      the tagged clip")
    print(f"{folder}/tensorboard/    tensorboard --logdir {folder}/tensorboard")


def percent(figure: dict | None) -> str:
    """A figure in a table, with its spread where there are several trainings."""
    if figure is None:
        return ""
    of_several = len(figure["seeds"]) > 1
    return mean_cell(figure, 100) if of_several else f"{100 * figure['mean']:.1f}"


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"all in {time.perf_counter() - began:.0f} s")
