"""The three systems of the training scripts: built, trained from checkpoint to checkpoint, saved.

Audio and video learn from class-balanced training clips. The fusion's weights are learnt on the
validation clips, since the audio branch knows the training clips by heart and would be trusted too
far. Of each system the checkpoint with the best validation figure is kept, and its thresholds are
tuned on validation alone. What the models answer, the loss and the figures are those of the task
of the clips' labels; only where a clip may have several labels are there thresholds.
"""

import argparse
import dataclasses
import functools
import pathlib
import shutil

import keras
import numpy as np
import options
import tensorflow as tf
from building import Builder, possible_systems
from corpus import TRAIN, Corpus
from held_out import AT_ONCE, ValidationSet, watched

from mmat.files import atomic_path
from mmat.labels import MULTI_LABEL
from mmat.lists.splits import VALIDATION
from mmat.models.audio import adapt_normalization
from mmat.models.bundle import Bundle, save
from mmat.training import Recipe, boards, is_chief, label_space, load_best, train
from mmat.training.precision import choose_dtype, training_rate

# Two weights a class are learnt soon, so these take a few checkpoints of their own rates (ours).
SMALL_CHECKPOINTS, VIDEO_RATE, FUSION_RATE = 4, 0.05, 0.02


class Systems:
    """Builds and trains the systems of a command line on a corpus, one after the other.

    monitor: the validation figure by which the best checkpoint is chosen, by default the task's.
    strategy: as from `mmat.training.make_strategy`.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        corpus: Corpus,
        strategy: tf.distribute.Strategy | None = None,
        monitor: str | None = None,
    ):
        self.arguments, self.corpus, self.task = arguments, corpus, corpus.labels.task
        self.monitor = monitor or watched(self.task)
        self.names = possible_systems(arguments, corpus)
        self.builder = Builder(arguments, corpus)
        self.out = pathlib.Path(arguments.out)
        self.recipe = options.recipe(arguments)
        self.strategy, self.is_chief = strategy, is_chief(strategy)
        self.models: dict[str, keras.Model] = {}
        if arguments.again and self.is_chief:
            for folder in ("training", "tensorboard"):
                shutil.rmtree(self.out / folder, ignore_errors=True)

    def trained(self) -> dict[str, Bundle]:
        """Train what is not trained yet, and save each system as a bundle in OUT/NAME.

        Of several machines the first alone has the bundles and is to evaluate them.
        """
        small = min(self.recipe.checkpoints, SMALL_CHECKPOINTS)
        small = dataclasses.replace(self.recipe, checkpoints=small)
        all_three = "fused" in self.names
        bundles = {}
        if all_three or "audio" in self.names:
            bundles["audio"] = self._trained("audio", self.recipe, TRAIN)
        if all_three or "video" in self.names:
            recipe = dataclasses.replace(small, learning_rate=VIDEO_RATE)
            bundles["video"] = self._trained("video", recipe, TRAIN)
        if all_three:
            recipe = dataclasses.replace(small, learning_rate=FUSION_RATE)
            bundles["fused"] = self._trained("fused", recipe, VALIDATION)
        return {name: bundles[name] for name in self.names} if self.is_chief else {}

    def build(self, name: str, dtype: str = "float32") -> keras.Model:
        """Build a system without its weights; a fusion on branches as they are trained by then."""
        if name == "audio":
            return self.builder.audio(dtype)
        if name == "video":
            return self.builder.video()
        branches = [self.build(branch) for branch in ("audio", "video")]
        for branch in branches:
            branch.set_weights(self.models[branch.name].get_weights())
        return self.builder.fused(branches)

    @functools.cached_property
    def _dtype(self) -> str:
        """The policy of the audio branch; what `auto` once chose holds for the whole training."""
        kept = self.out / "training" / "precision.txt"
        if self.arguments.precision != "auto" or not kept.exists():
            dtype = choose_dtype(self.arguments.precision, self._rate)
            with atomic_path(kept) as part:
                part.write_text(dtype + "\n")
        return kept.read_text().strip()

    def _rate(self, dtype: str) -> float:
        """How many steps a second the audio branch takes in a policy, on a few clips."""
        few = min(self.recipe.batch_size, 4)
        (batch,) = self.corpus.batches_from(TRAIN, self.builder.sound, few)(0).take(1)

        def build(dtype: str) -> keras.Model:
            model = self.build("audio", dtype)
            adapt_normalization(model, [batch])
            return model

        return training_rate(dtype, build, batch, task=self.task)

    def _trained(self, name: str, recipe: Recipe, part: str) -> Bundle | None:
        """Train a system on a part of the corpus to its end, and save its best checkpoint."""
        dtype, folder = self._dtype if name == "audio" else "float32", self.out / "training" / name
        # Each system begins alike, whether those before it were trained now or long ago.
        keras.utils.set_random_seed(self.arguments.seed)
        with (self.strategy or tf.distribute.get_strategy()).scope():
            model = self.build(name, dtype)
        if name == "audio" and self.is_chief:
            self._normalize(model, folder / "normalization.npz")
        n_weights = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        print(f"== {name}: {n_weights:,} weights to train, {dtype}")
        held, about = ValidationSet(self.corpus, model), self._about(name, dtype)
        train(
            model,
            self.corpus.batches_from(part, [*model.input, "ids"], recipe.batch_size, recipe.seed),
            recipe,
            folder,
            held,
            monitor=self.monitor,
            callbacks=self._boards(name, recipe, held) if self.is_chief else (),
            strategy=self.strategy,
            task=self.task,
            about=about,
        )
        if self.is_chief:
            best = load_best(model, folder)
            print(f"{name}: best at step {best['step']}, {self.monitor} {best[self.monitor]:.4g}")
        if dtype != "float32" or self.strategy:
            # The same weights, plain: what is evaluated is what is saved, to the last digit.
            plain = self.build(name)
            plain.set_weights(model.get_weights())
            held = ValidationSet(self.corpus, plain)
        self.models[name] = held.model
        return save(held.model, self.out / name, self.corpus) if self.is_chief else None

    def _normalize(self, audio: keras.Model, path: pathlib.Path) -> None:
        """Give the model its bands' mean and deviation over the training clips, measured once."""
        layer = audio.get_layer("band_normalization")
        if not path.exists():
            print("audio: the mean and the deviation of each band over the training clips")
            clips = self.corpus.once(TRAIN, self.builder.sound, AT_ONCE).as_numpy_iterator()
            adapt_normalization(audio, clips)
            with atomic_path(path) as part:
                np.savez(part, mean=layer.mean, deviation=layer.std)
        with np.load(path, allow_pickle=False) as kept:
            layer.mean.assign(kept["mean"])
            layer.std.assign(kept["deviation"])

    def _about(self, name: str, dtype: str) -> dict:
        """What tells a training from another one, besides its model and recipe."""
        about = {"system": name, "dtype": dtype, "labels": list(self.corpus.labels.names)}
        about["shards"] = self.corpus.index.get("list_sha256")
        return (
            about if name == "audio" else about | {"text encoder": self.builder.text_encoder.name}
        )

    def _boards(self, name: str, recipe: Recipe, held: ValidationSet) -> list:
        if not self.arguments.boards:
            return []
        labels, space = self.corpus.labels, None
        if name == "video":
            space = label_space(self.corpus.network.labels(), labels, self.builder.text_encoder)
        return boards(
            self.out / "tensorboard" / name,
            labels,
            {"recipe": dataclasses.asdict(recipe), **vars(self.arguments), "system": name},
            (lambda: (held.truth, held.scores)) if self.task == MULTI_LABEL else None,
            held.fixed_clips(),
            space,
        )
