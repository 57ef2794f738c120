"""The three systems of the training scripts: built, trained from checkpoint to checkpoint, saved.

Audio and video learn from class-balanced training clips. The fusion's weights are learnt on the
validation clips, since the audio branch knows the training clips by heart and would be trusted too
far. Of each system the checkpoint with the best validation figure is kept, and its thresholds are
tuned on validation alone.
"""

import argparse
import dataclasses
import pathlib
import shutil

import keras
import numpy as np
import options
import tensorflow as tf
from corpus import Corpus
from held_out import ASKED_AT_ONCE, HeldOut

from mmat.data.splits import VALIDATION
from mmat.errors import InputError, atomic_path
from mmat.metrics.tagging import precision_recall_f1
from mmat.metrics.thresholds import fire, tune_thresholds
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.fusion import fused_model, late_fusion, middle_fusion
from mmat.models.pooling import (
    attention,
    exponential_softmax,
    linear_softmax,
    max_pooling,
    mean_pooling,
)
from mmat.models.pretrained.audio_registry import audio_encoder
from mmat.models.semantics import label_similarities
from mmat.models.talnet import talnet
from mmat.models.video import video_branch
from mmat.training import Recipe, boards, label_space, load_best, train

POOLINGS = {
    "max": max_pooling,
    "mean": mean_pooling,
    "linear": linear_softmax,
    "exp": exponential_softmax,
    "attention": attention,
}
FUSIONS = {"late": late_fusion, "middle": middle_fusion}
# Two weights a class are learnt soon, so these take a few checkpoints of their own rates (ours).
SMALL_CHECKPOINTS, VIDEO_RATE, FUSION_RATE = 4, 0.05, 0.02


class Systems:
    """Builds and trains the systems of a command line on a corpus, one after the other."""

    def __init__(self, arguments: argparse.Namespace, corpus: Corpus, monitor: str = "val_f1"):
        """monitor: the validation figure by which the best checkpoint is chosen."""
        self.arguments, self.corpus, self.monitor = arguments, corpus, monitor
        self.names = _possible(arguments, corpus)
        self.out = pathlib.Path(arguments.out)
        self.recipe = options.recipe(arguments)
        self.strategy = options.strategy(arguments.devices)
        self.dtype = options.dtype(arguments.precision)
        if arguments.again:
            for folder in ("training", "tensorboard"):
                shutil.rmtree(self.out / folder, ignore_errors=True)

    def trained(self) -> dict[str, Bundle]:
        """Train what is not trained yet, and save each system as a bundle in OUT/NAME."""
        bundles, both = {}, "fused" in self.names
        if both or "audio" in self.names:
            bundles["audio"] = self._bundle("audio", self._train_audio())
        if both or "video" in self.names:
            bundles["video"] = self._bundle("video", self._train_video())
        if both:
            branches = bundles["audio"].model, bundles["video"].model
            bundles["fused"] = self._bundle("fused", self._train_fused(*branches))
        return {name: bundles[name] for name in self.names}

    def build_audio(self, dtype: str = "float32") -> keras.Model:
        """The authors' CRNN, their TALNet, or a recurrent layer on a frozen encoder."""
        pooling, n_classes = POOLINGS[self.arguments.pooling], len(self.corpus.labels)
        if self.arguments.net == "talnet":
            return talnet(n_classes, pooling, dtype=dtype)
        name = self.arguments.audio_encoder
        encoder = None if name == "none" else audio_encoder(name)
        return audio_branch(n_classes, pooling, dtype=dtype, encoder=encoder)

    def build_fused(self, audio: keras.Model, video: keras.Model) -> keras.Model:
        rates = self.corpus.balanced_rates()
        return fused_model(audio, video, FUSIONS[self.arguments.fusion], rates)

    def _train_audio(self) -> HeldOut:
        with self._scope():
            audio = self.build_audio(self.dtype)
        self._normalize(audio)
        held = self._train("audio", audio, self.recipe, "train", {"dtype": self.dtype})
        if self.dtype == "float32":
            return held
        # The same weights in float32: what is evaluated is what is saved, to the last digit.
        with self._scope():
            plain = self.build_audio()
        plain.set_weights(audio.get_weights())
        return HeldOut(self.corpus, plain)

    def _train_video(self) -> HeldOut:
        network, labels = self.corpus.network, self.corpus.labels
        encoder = options.text_encoder(self.arguments.text_encoder, network.name)
        similarities = label_similarities(network.labels(), labels, encoder)
        with self._scope():
            video = video_branch(similarities, clip_seconds=self.corpus.index["clip_seconds"])
        space = label_space(network.labels(), labels, encoder) if self.arguments.boards else None
        about = {"encoder": encoder.name}
        return self._train("video", video, self._small(VIDEO_RATE), "train", about, space)

    def _train_fused(self, audio: keras.Model, video: keras.Model) -> HeldOut:
        with self._scope():
            fused = self.build_fused(audio, video)
        about = {"fusion": self.arguments.fusion}
        return self._train("fused", fused, self._small(FUSION_RATE), VALIDATION, about)

    def _small(self, rate: float) -> Recipe:
        checkpoints = min(self.recipe.checkpoints, SMALL_CHECKPOINTS)
        return dataclasses.replace(self.recipe, learning_rate=rate, checkpoints=checkpoints)

    def _scope(self):
        return (self.strategy or tf.distribute.get_strategy()).scope()

    def _folder(self, name: str) -> pathlib.Path:
        return self.out / "training" / name

    def _normalize(self, audio: keras.Model) -> None:
        """Give the model its bands' mean and deviation over the training clips, measured once."""
        layer = audio.get_layer("band_normalization")
        path = self._folder("audio") / "normalization.npz"
        if not path.exists():
            print("audio: the mean and the deviation of each band over the training clips")
            clips = self.corpus.once("train", ["waveform"], ASKED_AT_ONCE)
            adapt_normalization(audio, (inputs["waveform"].numpy() for inputs, _ in clips))
            with atomic_path(path) as part:
                np.savez(part, mean=layer.mean, deviation=layer.deviation)
        with np.load(path) as kept:
            layer.mean.assign(kept["mean"])
            layer.deviation.assign(kept["deviation"])

    def _train(self, name, model, recipe, part, about, space=None) -> HeldOut:
        """Train a model to its end, leave it as its best checkpoint, and return its judge."""
        print(f"== {name}: {sum(int(np.prod(w.shape)) for w in model.trainable_weights):,} weights")
        held = HeldOut(self.corpus, model)
        about = about | {"shards": self.corpus.index.get("list_sha256"), "system": name}
        shown = []
        if self.arguments.boards:
            shown = boards(
                self.out / "tensorboard" / name,
                self.corpus.labels,
                {"recipe": dataclasses.asdict(recipe), **about, **vars(self.arguments)},
                lambda: (held.truth, held.scores),
                held.fixed_clips(),
                space,
            )
        with self._scope():
            optimizer = keras.optimizers.Adam(recipe.learning_rate)
        train(
            model,
            self.corpus.batches_from(part, [*model.input, "ids"], recipe),
            recipe,
            self._folder(name),
            held,
            monitor=self.monitor,
            optimizer=optimizer,
            callbacks=shown,
            strategy=self.strategy,
            about=about | {"labels": list(self.corpus.labels.names)},
        )
        best = load_best(model, self._folder(name))
        print(f"{name}: best at step {best['step']}, {self.monitor} {best[self.monitor]:.4g}")
        return held

    def _bundle(self, name: str, held: HeldOut) -> Bundle:
        held(held.model)
        index = self.corpus.index
        thresholds = tune_thresholds(held.truth, held.scores)
        f1 = precision_recall_f1(held.truth, fire(held.scores, thresholds)).f1
        bundle = Bundle(
            held.model,
            self.corpus.labels,
            thresholds,
            "" if name == "audio" else index["image_network"],
            index["n_frames"],
            index["clip_seconds"],
            {"validation_f1": f1},
        )
        save_bundle(self.out / name, bundle)
        return bundle


def _possible(arguments: argparse.Namespace, corpus: Corpus) -> tuple[str, ...]:
    """Return the systems to train; raises InputError where the clips do not allow those asked."""
    seen = corpus.network is not None
    names = arguments.systems or (options.SYSTEMS if seen else ("audio",))
    if names != ("audio",) and not seen:
        raise InputError(
            f"{corpus.folder}: no image network looked at its pictures; train --systems audio, or "
            "prepare them with --image-model"
        )
    if arguments.net == "talnet" and arguments.audio_encoder != "none":
        raise InputError("--net talnet and --audio-encoder: the encoder takes the net's place")
    return names
