"""Audio, video and fusion on the mini corpus: prepare, train, evaluate, export, tag.

Paper: Li, Wang, Szurley, Metze and Das, arXiv 1712.09680; the audio recipe is its authors', except
for what a corpus of 400 clips asks (augmentation, dropout, AdamW). Command and result:

    python experiments/mini.py              one seed, about 15 minutes on 2 cores, runs/mini/
    python experiments/mini.py --seeds 3    README's table, about 40 minutes, runs/mini-3/

Real recordings and photographs, composed clips: a demonstration, no benchmark of the field.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np
from mini_systems import AUDIO_EPOCHS, train_audio, train_fusion, train_video
from reporting import SHARED_THRESHOLD, Report, Scores

from mmat import __version__
from mmat.corpora.mini import fetch_and_compose, mini_groups, mini_labels, read_mini
from mmat.export.savedmodel import export_saved_model
from mmat.files import atomic_path, cache_folder
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.label_map import label_similarities
from mmat.models.predict import Predictor, predict
from mmat.models.pretrained.registry import image_network
from mmat.models.pretrained.text import embedded_text_encoder
from mmat.shards.prepare import prepare
from mmat.shards.read import read_arrays
from mmat.training import exchanged, fastest_dtype

IMAGE_NETWORK = "efficientnet_lite0"
DATA = "the mini corpus: composed clips of recordings and photographs in five Debian packages"


def main() -> None:
    arguments = parse_arguments()
    folder = pathlib.Path(
        arguments.out or f"runs/mini{f'-{arguments.seeds}' * (arguments.seeds > 1)}"
    )
    settings = {
        "mmat": __version__,
        "report": 2,  # its form: one of an older form is made anew
        "seeds": arguments.seeds,
        "epochs": arguments.epochs,
    }
    report, labels = Report(folder, settings, mini_groups()), mini_labels()
    if report.finished() and not arguments.again:
        print(f"{folder}: trained already; --again trains anew")
        return report.show(report.finished())
    with report.stage("prepare"):
        shards = prepare_shards(labels)
        data = {split: read_arrays(shards, split) for split in ("train", "validation", "test")}
        network = image_network(IMAGE_NETWORK)
        similarities = label_similarities(network.labels(), labels, embedded_text_encoder())
    dtype = fastest_dtype()
    print(f"training the audio branch in {dtype}")
    for seed in range(arguments.seeds):
        keras.utils.set_random_seed(seed)
        logs = folder / "tensorboard" / f"seed-{seed}"
        with report.stage("train audio"):
            audio = kept_audio(arguments, folder, data, labels, seed, dtype)
        with report.stage("train video"):
            video = train_video(data, similarities, logs / "video")
        with report.stage("train fusion"):
            fused = train_fusion(data, audio, video, logs / "fusion")
        with report.stage("evaluate"):
            models = {"audio": audio, "video": video, "fused": fused}
            scores = {name: evaluate(model, data, seed) for name, model in models.items()}
            moved = exchanged(data["test"], seed)
            scores[Report.EXCHANGED] = scores["fused"].on_test(predict(fused, moved)["clip"])
            report.add_seed(seed, scores, models, data, labels)
        if seed == 0:
            save_models(folder, models, scores, labels, report)
    tag_a_clip(folder, data)
    report.write()
    report.show(report.as_dict())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="trainings to average over")
    parser.add_argument("--epochs", type=int, default=AUDIO_EPOCHS, help="of the audio branch")
    parser.add_argument("--again", action="store_true", help="train even if that was done before")
    parser.add_argument("--out", help="folder of the results (default: runs/mini or runs/mini-N)")
    return parser.parse_args()


def kept_audio(arguments, folder, data, labels, seed, dtype) -> keras.Model:
    """The seed's audio branch, trained unless an interrupted run left it."""
    path = folder / "trainings" / f"audio-{arguments.epochs}-{dtype}-seed{seed}.keras"
    if path.exists() and not arguments.again:
        print(f"{path}: trained already")
        return keras.saving.load_model(path)
    logs = folder / "tensorboard" / f"seed-{seed}" / "audio"
    audio = train_audio(data, labels, seed, dtype, arguments.epochs, logs)
    with atomic_path(path) as part:
        keras.saving.save_model(audio, part)
    return audio


def prepare_shards(labels) -> pathlib.Path:
    """Composed clips to shards: sound at 16 kHz, and what the image network sees in 8 frames."""
    media, shards = fetch_and_compose(), cache_folder() / "mini" / "shards"
    prepare(read_mini(), media, shards, labels, IMAGE_NETWORK, overwrite=True)
    return shards


def evaluate(model, data, seed) -> Scores:
    """Validation and test scores of a system, and its threshold, tuned on validation alone."""
    predictor = Predictor(model)
    validation, test = (predictor(data[split]) for split in ("validation", "test"))
    truth = data["validation"]["weak_labels"] > 0
    return Scores.tuned(truth, validation["clip"], test["clip"], SHARED_THRESHOLD)


def save_models(folder, models, scores, labels, report) -> None:
    """A folder a system, and the fused one as a SavedModel that needs TensorFlow alone."""
    for name, model in models.items():
        pictures = "" if name == "audio" else IMAGE_NETWORK
        figures = report.figures[name][0] | {"data": DATA}
        bundle = Bundle(model, labels, scores[name].thresholds, pictures, figures=figures)
        save_bundle(folder / name, bundle)
    print(f"exporting {folder / 'export'}")
    export_saved_model(bundle, folder / "export")


def tag_a_clip(folder, data) -> None:
    """Tag a held-out clip by the command line: with nothing but the export, and untrained."""
    test = data["test"]
    both = test["has_audio"] & test["has_video"]
    position = int(np.flatnonzero(both)[0])
    clip = next(clip for clip in read_mini() if clip.id == test["ids"][position])
    path = fetch_and_compose(progress=False) / clip.file
    command = [sys.executable, "-m", "mmat", "tag", str(path)]
    print(f"\ntagging {clip.file}, in which sounds: {', '.join(clip.labels)}", flush=True)
    plot = ["--plot", str(folder / "tagged.png")]
    subprocess.run([*command, "--model", str(folder / "export"), *plot], check=True)
    print("\nthe same clip, by names alone and without any training", flush=True)
    labels = ";".join(mini_labels().names)
    subprocess.run([*command, "--labels", labels, "--explain"], check=True)


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"all in {time.perf_counter() - began:.0f} s")
