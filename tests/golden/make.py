"""Make the golden files: what mmat wrote at a commit, small, with the values it holds.

`b00d41f/` was made by the code of that commit, whose names this script uses:

    git worktree add ../mmat-b00d41f b00d41f
    PYTHONPATH=../mmat-b00d41f .venv/bin/python tests/golden/make.py OUT
    git worktree remove ../mmat-b00d41f

with the default environment (TensorFlow 2.17) and `mmat fetch models` done before. The waveforms
come from a formula, the pictures and the weights from seeds, the media are encoded here.
`tests/test_golden.py` reads the files by the code of today.
"""

import contextlib
import json
import os
import pathlib
import sys
import tempfile

import numpy as np

RATE_HZ, CLIP_SECONDS = 16_000, 0.5
MTIME_NS = 1_500_000_000_123_456_789
LABELS = ("Dog", "Train horn", "Car")


def main(out: pathlib.Path) -> None:
    """Write all golden files into a new folder."""
    import mmat

    print(f"written by {pathlib.Path(mmat.__file__).parent}")
    out.mkdir(parents=True)
    make_shards(out)
    inputs = make_inputs()
    np.savez_compressed(out / "inputs.npz", **inputs)
    bundles = make_bundles(inputs)
    outputs = save_bundles(out, bundles, inputs)
    outputs |= make_exports(out, bundles["audio"], inputs)
    np.savez_compressed(out / "outputs.npz", **outputs)
    make_checkpoint(out, inputs)


def make_shards(out: pathlib.Path) -> None:
    """Write two folders of shards, what stands in them, and what their media were.

    `shards/`: a movie, a movie without sound, a sound file, a file that is missing; strong times,
    image probabilities and pictures. `shards_values/`: a regression, clips of their own length.
    """
    from mmat.data.datasets import read_arrays
    from mmat.data.lists import Clip, Event
    from mmat.data.prepare import prepare
    from mmat.tasks import regression

    from mmat.labels import LabelSet

    def mean_colour(pictures):
        return pictures.mean(axis=(1, 2)) / 255

    clips = [
        Clip("both", "both.mp4", ("Dog", "Car"), events=(Event("Dog", 0.125, 0.25),)),
        Clip("silent", "silent.mp4", ("Car",), end_seconds=0.5, source_group="street"),
        Clip("blind", "blind.wav", ("Train horn",), 0.125, 0.375, split="test", video_id="Y1"),
        Clip("absent", "absent.mp4", ("Dog",)),
    ]
    valued = [
        Clip("low", "blind.wav", ("mood",), 0.25, values=(-1.5,)),
        Clip("high", "both.mp4", ("mood",), 0.0, 0.375, values=(2.0,)),
    ]
    arrays = {}
    # In it, so that no failure names the folder.
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = pathlib.Path("media")
        make_media(folder)
        prepare(
            clips, folder, out / "shards", LabelSet.of(LABELS), mean_colour, "mean colour", 32,
            n_frames=2, clip_seconds=0.25, clips_per_shard=2, workers=0, keep_frames=True,
            progress=False,
        )  # fmt: skip
        prepare(
            valued, folder, out / "shards_values",
            LabelSet(("mood",), task=regression(-3, 3)),
            clip_seconds=None, n_frames=3, workers=0, progress=False,
        )  # fmt: skip
        media = {
            path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in folder.iterdir()
        }
    for shards, split in (("shards", "train"), ("shards", "test"), ("shards_values", "train")):
        read = read_arrays(out / shards, split)
        # A row an event: which clip, which label, onset, offset.
        events = [[i, *event] for i, own in enumerate(read["events"]) for event in own]
        read["events"] = np.float64(events).reshape(-1, 4)
        arrays |= {f"{shards}/{split}/{key}": np.asarray(x) for key, x in read.items()}
    np.savez_compressed(out / "arrays.npz", **arrays)
    (out / "media.json").write_text(json.dumps(media, indent=1, sort_keys=True) + "\n")


def make_media(folder: pathlib.Path) -> None:
    """Write three media files, all changed at one time."""
    folder.mkdir()
    import soundfile
    from mmat.data.render import write_mp4

    times = np.arange(22_050) / 44_100
    sound = np.float32(0.5 * np.sin(2 * np.pi * 440 * times))
    pictures = np.zeros((3, 32, 32, 3), np.uint8)
    pictures[:, :, :, 0], pictures[1:, :, :, 1] = 200, 90
    write_mp4(folder / "both.mp4", sound, pictures)
    write_mp4(folder / "silent.mp4", None, pictures[::-1])
    soundfile.write(folder / "blind.wav", sound, 44_100)
    for path in folder.iterdir():
        os.utime(path, ns=(MTIME_NS, MTIME_NS))


def make_inputs() -> dict[str, np.ndarray]:
    """Return what the models take: three clips, the second without pictures, the last soundless."""
    rng = np.random.default_rng(1)
    times = np.arange(round(RATE_HZ * CLIP_SECONDS)) / RATE_HZ
    tones = [np.sin(2 * np.pi * (300 * i + 500 * times) * times) for i in range(1, 4)]
    waveform = np.stack(tones)[..., None] * np.linspace(0, 0.8, len(times))[:, None]
    return {
        "waveform": np.float32(np.round(waveform * 2**15) / 2**15),
        "n_samples": np.int32([len(times), 5000, len(times)]),
        "has_audio": np.array([True, True, False]),
        "has_video": np.array([True, False, True]),
        "image_probabilities": np.float32(rng.dirichlet(np.ones(4), (3, 2))),
        "imagenet_probabilities": np.float16(rng.dirichlet(np.full(1000, 0.05), (3, 2))),
    }


def inputs_of(model, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the inputs that a model takes."""
    n_image_labels = [x.shape[-1] for name, x in model.input.items() if name.startswith("image")]
    if n_image_labels == [1000]:
        inputs = inputs | {"image_probabilities": np.float32(inputs["imagenet_probabilities"])}
    return {name: inputs[name] for name in model.input}


def branch(n_classes: int, mel, blocks, ragged=False, pooling=None, task=None, augmentation=()):
    """Build an audio branch with a GRU of three units, where `audio_branch` has a hundred."""
    from mmat.tasks import MULTI_LABEL

    from mmat.models.audio import crnn_trunk, recurrent_tagger
    from mmat.models.pooling import linear_softmax

    inputs, x = crnn_trunk(mel, augmentation, "float32", ragged, blocks)
    pooling, task = pooling or linear_softmax, task or MULTI_LABEL
    return recurrent_tagger(inputs, x, n_classes, pooling, 3, 0.25, "float32", 1600, task)


def make_bundles(inputs: dict[str, np.ndarray]) -> dict:
    """Return the bundles, by name: every layer of mmat that a trained model may have is in one."""
    import keras
    from mmat.models.zero_training import zero_training_bundle
    from mmat.tasks import MULTI_CLASS, MULTI_LABEL, regression

    from mmat.labels import LabelSet
    from mmat.models import pooling, semantics
    from mmat.models.augment import RandomFilter, SpecAugment
    from mmat.models.bundle import Bundle
    from mmat.models.features import MelParameters
    from mmat.models.fusion import fused_model, middle_fusion
    from mmat.models.video import video_branch

    keras.utils.set_random_seed(0)
    mel = MelParameters(fft_samples=512, window_samples=512, mel_bands=12)
    speech_mel = MelParameters(
        fft_samples=512, window_samples=400, hop_samples=160, mel_bands=8, mel_max_hz=7000.0
    )
    blocks = ((2, (1, 2)), (3, (2, 2)), (3, (2, 2)))
    speech_blocks = ((2, (2, 2)), (2, (5, 2)))
    similarities = np.random.default_rng(2).uniform(-0.2, 1, (4, 3))
    scale = regression(-3, 3)
    seen = {
        "sharpened": semantics.Sharpened(4.0),
        "thresholded": semantics.Thresholded(),
        "top_label": semantics.top_label,
        "similarity_weighted": semantics.similarity_weighted,
    }
    models = {
        "audio": branch(3, mel, blocks, augmentation=(SpecAugment(seed=1), RandomFilter(seed=2))),
        "audio_ragged": branch(3, speech_mel, speech_blocks, True, task=MULTI_CLASS),
        "audio_values": branch(1, speech_mel, speech_blocks, True, pooling.max_pooling, scale),
        **{
            f"video_{name}": video_branch(similarities, evidence, clip_seconds=CLIP_SECONDS)
            for name, evidence in seen.items()
        },
        "fused_late": fused_model(
            branch(3, mel, blocks, pooling=pooling.exponential_softmax),
            video_branch(similarities, semantics.similarity_weighted),
            label_rates=[0.2, 0.3, 0.5],
        ),
        "fused_middle": fused_model(
            branch(3, speech_mel, speech_blocks, True, pooling.attention),
            video_branch(similarities, semantics.similarity_weighted),
            middle_fusion,
        ),
    }
    tasks = {"audio_ragged": MULTI_CLASS, "audio_values": scale}
    bundles = {}
    for name, model in models.items():
        move_weights(model)
        n_classes = model.output["clip"].shape[-1]
        bundles[name] = Bundle(
            model,
            LabelSet(LABELS[:n_classes], task=tasks.get(name, MULTI_LABEL)),
            np.linspace(0.3, 0.6, n_classes, dtype=np.float32),
            n_frames=2,
            clip_seconds=CLIP_SECONDS,
            figures={"f1": 0.5},
        )
    bundles["zero_training"] = zero_training_bundle(LabelSet.of(["Sine wave", "Dog"]))
    return bundles


def move_weights(model) -> None:
    """Give every weight a value of its own, and the mel bands a mean and a deviation."""
    rng = np.random.default_rng(3)
    for variable in model.variables:
        if variable.dtype != "float32" or variable.name == "map":
            continue
        low, high = {"mean": (-30, -20), "deviation": (5, 9)}.get(variable.name, (-0.7, 0.7))
        own = 0 if variable.name in ("mean", "deviation") else variable
        variable.assign(own + rng.uniform(low, high, variable.shape))


def save_bundles(out: pathlib.Path, bundles: dict, inputs: dict) -> dict[str, np.ndarray]:
    """Write the bundles, and return what they answer: `bundles/NAME/OUTPUT`."""
    from mmat.models.bundle import save_bundle

    outputs = {}
    for name, bundle in bundles.items():
        save_bundle(out / "bundles" / name, bundle)
        answers = bundle.model(inputs_of(bundle.model, inputs), training=False)
        outputs |= {f"bundles/{name}/{key}": np.asarray(x) for key, x in answers.items()}
    return outputs


def make_exports(out: pathlib.Path, bundle, inputs: dict) -> dict[str, np.ndarray]:
    """Write a bundle as a SavedModel and for TensorFlow Lite, and return what the files answer."""
    from mmat.serving.export import export_saved_model
    from mmat.serving.loading import load_export
    from mmat.serving.tflite import export_tflite
    from mmat.serving.tflite_run import TFLiteTagger

    saved_model = export_saved_model(bundle, out / "saved_model")
    answers = load_export(saved_model).signatures["serving_default"](waveform=inputs["waveform"])
    outputs = {f"saved_model/{key}": np.asarray(x) for key, x in answers.items()}
    answers = TFLiteTagger(export_tflite(bundle, out / "audio.tflite"))(inputs["waveform"][:1])
    return outputs | {f"audio.tflite/{key}": np.array(x) for key, x in answers.items()}


def checkpoint_model():
    """Return the model that the checkpoints are of."""
    from mmat.models.features import MelParameters

    mel = MelParameters(fft_samples=512, window_samples=512, mel_bands=12)
    return branch(3, mel, ((2, (1, 2)), (3, (2, 2)), (3, (2, 2))))


def make_checkpoint(out: pathlib.Path, inputs: dict) -> None:
    """Write the checkpoints of a training of four steps, and the weights of the best of them."""
    import keras
    import tensorflow as tf

    from mmat.training import Recipe, load_best, train

    keras.utils.set_random_seed(4)
    model = checkpoint_model()
    clips = {"waveform": inputs["waveform"]}, np.float32([[1, 0, 0], [0, 1, 0], [1, 0, 1]])
    figures = iter((0.1, 0.5, 0.25))
    train(
        model,
        lambda step: tf.data.Dataset.from_tensors(clips).repeat(),
        Recipe(3, 1e-2, steps_per_checkpoint=2, checkpoints=2, keep=1),
        out / "training",
        lambda model: {"val_loss": 1.0, "val_f1": next(figures)},
        monitor="val_f1",
    )
    best = load_best(model, out / "training")
    (out / "best.json").write_text(json.dumps(best, indent=1) + "\n")
    np.savez_compressed(
        out / "weights.npz", **{str(i): np.asarray(x) for i, x in enumerate(model.variables)}
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).absolute())
