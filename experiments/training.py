"""Training the systems of a command line, from checkpoint to checkpoint."""

import argparse
import pathlib
import shutil
from collections.abc import Callable
from dataclasses import asdict

import keras
import numpy as np
import tensorflow as tf

import mmat
from experiments.options import SYSTEMS, queues_of, text_encoder
from experiments.validation import CLIPS_AT_ONCE, ValidationSet, watched
from mmat.files import InputError, atomic_path
from mmat.labels import MULTI_LABEL
from mmat.models.audio import adapt_normalization
from mmat.models.bundle import Bundle
from mmat.pretrained.text import TextEncoder
from mmat.shards.corpus import TRAIN, Corpus
from mmat.shards.read import batches, load_split
from mmat.training.checkpoints import load_best
from mmat.training.distributed import is_chief, make_strategy
from mmat.training.loop import train
from mmat.training.precision import Cost, choose_dtype, clips_to_measure, training_rate
from mmat.training.recipe import Recipe
from mmat.training.tensorboard.callback import tensorboard_callbacks
from mmat.training.tensorboard.projector import label_space


def begin(arguments: argparse.Namespace) -> tf.distribute.Strategy | None:
    """Tell TensorFlow how to compute, before anything else; return the devices' strategy.

    What it draws and computes is then the same in every run of this command.
    """
    keras.utils.set_random_seed(arguments.seed)
    if arguments.deterministic:
        tf.config.experimental.enable_op_determinism()
    return make_strategy(arguments.devices)


def possible_systems(arguments: argparse.Namespace, corpus: Corpus) -> tuple[str, ...]:
    """Return the systems to train; raises InputError where the clips do not allow those asked."""
    seen = corpus.network is not None
    all_that_can_be = tuple(x for x in SYSTEMS if x != "video" or not corpus.ragged)
    names = arguments.systems or (all_that_can_be if seen else ("audio",))
    if names != ("audio",) and not seen:
        raise InputError(
            f"{corpus.folder}: no image network looked at its pictures; train --systems audio, or "
            "prepare them with --image-model"
        )
    if "video" in names and corpus.ragged:
        raise InputError(
            f"{corpus.folder}: its clips have lengths of their own, which only sound tells; train "
            "--systems audio,fused, or prepare them with a --clip-seconds"
        )
    if arguments.devices == "workers" and arguments.precision == "auto":
        raise InputError(
            "--devices workers: name a --precision, so that all machines have the same"
        )
    if arguments.net == "talnet" and arguments.audio_encoder != "none":
        raise InputError("--net talnet and --audio-encoder: the encoder takes the net's place")
    if arguments.mel != "authors" and (arguments.net, arguments.audio_encoder) != ("crnn", "none"):
        raise InputError(
            f"--mel {arguments.mel}: it is for --net crnn without an --audio-encoder; leave it out"
        )
    return names


class Training:
    """Fits the systems of a command line on a corpus, one after the other, and saves each.

    strategy: as from `begin`. monitor: the validation figure by which the best checkpoint is
    chosen, by default the task's.

    needed: the systems to fit, those asked for and the branches of a fusion. models: those that
    are fitted. saved: of those asked for what `mmat.save` left in OUT/NAME; of several machines
    the first alone saves, so that it alone is to evaluate them.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        corpus: Corpus,
        strategy: tf.distribute.Strategy | None = None,
        monitor: str | None = None,
    ):
        self.arguments, self.corpus, self.strategy = arguments, corpus, strategy
        self.monitor = monitor or watched(corpus.task)
        self.asked = possible_systems(arguments, corpus)
        self.needed = SYSTEMS if "fused" in self.asked else self.asked
        self.out, self.is_chief = pathlib.Path(arguments.out), is_chief(strategy)
        self.models: dict[str, keras.Model] = {}
        self.saved: dict[str, Bundle] = {}
        if arguments.again and self.is_chief:
            for folder in ("training", "tensorboard"):
                shutil.rmtree(self.out / folder, ignore_errors=True)

    def fit(
        self, name: str, build: Callable[[str], keras.Model], split: str, recipe: Recipe
    ) -> None:
        """Train a system on class-balanced batches of a split, and save its best checkpoint.

        build: given the policy to compute in, the model without its weights. The audio branch
        computes in `--precision`; the others are small, and always have float32.
        """
        dtype = self._dtype(build, recipe) if name == "audio" else "float32"
        folder = self.out / "training" / name
        # Each system begins alike, whether those before it were trained now or long ago.
        keras.utils.set_random_seed(self.arguments.seed)
        with (self.strategy or tf.distribute.get_strategy()).scope():
            model = build(dtype)
        if name == "audio" and self.is_chief:
            self._normalize(model, folder / "normalization.npz")
        n_weights = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        print(f"== {name}: {n_weights:,} weights to train, {dtype}")
        validation = ValidationSet(self.corpus, model)
        train(
            model,
            self.corpus.batches_from(
                split,
                [*model.input, "ids"],
                recipe.batch_size,
                recipe.seed,
                queues_of(self.arguments),
            ),
            recipe,
            folder,
            validation,
            monitor=self.monitor,
            callbacks=self._callbacks(name, recipe, validation) if self.is_chief else (),
            strategy=self.strategy,
            task=self.corpus.task,
            about=self._about(name, dtype),
        )
        if self.is_chief:
            best = load_best(model, folder)
            print(f"{name}: best at step {best['step']}, {self.monitor} {best[self.monitor]:.4g}")
        if dtype != "float32" or self.strategy:
            # The same weights, plain: what is evaluated is what is saved, to the last digit.
            plain = build("float32")
            plain.set_weights(model.get_weights())
            model = plain
        self.models[name] = model
        if self.is_chief:
            saved = mmat.save(model, self.out / name, self.corpus)
            if name in self.asked:
                self.saved[name] = saved

    def _dtype(self, build: Callable[[str], keras.Model], recipe: Recipe) -> str:
        """Return the audio branch's policy; what `auto` once chose holds for the whole training."""
        kept = self.out / "training" / "precision.txt"
        if self.arguments.precision != "auto" or not kept.exists():
            has_gpu = bool(tf.config.list_physical_devices("GPU"))
            few = clips_to_measure(recipe.batch_size, has_gpu)

            def rate(dtype: str) -> float:
                """How many clips a second the branch learns from in a policy, on a few of them."""
                model = build(dtype)
                # The first clips that do: the others are looked through when this was said.
                clips = load_split(self.corpus.folder, TRAIN, list(model.input))
                (batch,) = batches(clips, few).take(1)
                adapt_normalization(model, [batch])
                taken = len(batch[1])  # of a small corpus all, which may be fewer
                rate = taken * training_rate(dtype, lambda _: model, batch, task=self.corpus.task)
                cost = Cost(recipe.steps, recipe.batch_size, rate)
                print(f"audio in {dtype}, by {taken} clips at a time: {cost}", flush=True)
                return rate

            dtype = choose_dtype(self.arguments.precision, rate)
            with atomic_path(kept) as part:
                part.write_text(dtype + "\n")
        return kept.read_text().strip()

    def _normalize(self, audio: keras.Model, path: pathlib.Path) -> None:
        """Give the model its bands' mean and std over the training clips, measured once."""
        layer = audio.get_layer("band_normalization")
        if not path.exists():
            print("audio: the mean and the std of each band over the training clips")
            clips = self.corpus.once(TRAIN, list(audio.input), CLIPS_AT_ONCE)
            adapt_normalization(audio, clips.as_numpy_iterator())
            with atomic_path(path) as part:
                np.savez(part, mean=layer.mean, deviation=layer.std)
        with np.load(path, allow_pickle=False) as kept:
            layer.mean.assign(kept["mean"])
            layer.std.assign(kept["deviation"])

    def _about(self, name: str, dtype: str) -> dict:
        """What tells a training from another one, besides its model and recipe."""
        about = {"system": name, "dtype": dtype, "labels": list(self.corpus.labels.names)}
        about["shards"] = self.corpus.index.get("list_sha256")
        if self.arguments.draw_unlabelled:  # only then: older checkpoints are gone on with
            about["draw_unlabelled"] = True
        return about if name == "audio" else about | {"text encoder": self._text_encoder().name}

    def _text_encoder(self) -> TextEncoder:
        return text_encoder(self.arguments.text_encoder, self.corpus.network.name)

    def _callbacks(self, name: str, recipe: Recipe, validation: ValidationSet) -> list:
        if not self.arguments.boards:
            return []
        labels, space = self.corpus.labels, None
        if name == "video":
            space = label_space(self.corpus.network.labels(), labels, self._text_encoder())
        return tensorboard_callbacks(
            self.out / "tensorboard" / name,
            labels,
            {"recipe": asdict(recipe), **vars(self.arguments), "system": name},
            (lambda: (validation.truth, validation.scores)) if labels.task == MULTI_LABEL else None,
            validation.fixed_clips(),
            space,
        )
