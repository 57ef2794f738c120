"""What the experiments share: command line, clips, training with validation, report, tables.

A training script reads `parser` and `begin`, `open_or_prepare` for its clips, builds its own models
and gives them to `Training.fit`, then `evaluate_on` and `write_report`. Other scripts take single
functions of these, and the tables at the end.
"""

import argparse
import functools
import itertools
import json
import os
import pathlib
import shutil
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from mmat.startup import ENVIRONMENT, on_terminal

os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np
import tabulate
import tensorflow as tf

import mmat
from mmat.cli.common import Parser, at_least, exit_status, log_dropped
from mmat.evaluation import figures
from mmat.evaluation.evaluate import Evaluation, evaluate
from mmat.evaluation.files import write_evaluation
from mmat.evaluation.page import shown
from mmat.files import InputError, atomic_path
from mmat.labels import MULTI_LABEL, Task
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList
from mmat.lists.splits import VALIDATION, validation_slice
from mmat.metrics.bootstrap import Difference, mean_difference
from mmat.metrics.decisions import decide
from mmat.metrics.tagging import NO_SHARES, SHORT, figure_names, precision_recall_f1
from mmat.metrics.tagging import figures as task_figures
from mmat.metrics.thresholds import best_single_threshold, fire, tune_thresholds
from mmat.models.audio import BLOCKS, SPEECH_BLOCKS, adapt_normalization
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.features import SPEECH_MEL, MelParameters
from mmat.models.fusion import late_fusion, middle_fusion
from mmat.models.names import zero_shot_bundle
from mmat.models.pooling import (
    attention,
    exponential_softmax,
    linear_softmax,
    max_pooling,
    mean_pooling,
)
from mmat.models.predict import Predictor
from mmat.pretrained.registry import IMAGE_NETWORKS, AudioEncoder, audio_encoder
from mmat.pretrained.text import (
    UNIVERSAL_SENTENCE_ENCODER,
    TextEncoder,
    embedded_text_encoder,
    hub_text_encoder,
)
from mmat.shards.corpus import HELD_OUT_SHARE, TRAIN, Corpus, open_corpus
from mmat.shards.prepare import prepare
from mmat.shards.read import batches, load_split
from mmat.shards.sampling import Queues, class_queues, queues_with_unlabelled
from mmat.training.checkpoints import load_best
from mmat.training.distributed import DEVICES, is_chief, make_strategy
from mmat.training.learn import learn
from mmat.training.loop import train
from mmat.training.precision import POLICIES, Cost, choose_dtype, clips_to_measure, training_rate
from mmat.training.recipe import LARGE_LIST, Recipe
from mmat.training.step import clip_loss
from mmat.training.tensorboard.callback import tensorboard_callbacks
from mmat.training.tensorboard.clips import FixedClips
from mmat.training.tensorboard.projector import label_space

SYSTEMS = ("audio", "video", "fused")
NAMES = "names"  # of --audio
# What the audio branch does not read of a tagger's inputs; the video branch reads them all, since
# its frame scores last as long as the sound.
OF_PICTURES = ("image_probabilities", "image_embeddings", "has_video")
POOLINGS = {
    "max": max_pooling,
    "mean": mean_pooling,
    "linear": linear_softmax,
    "exp": exponential_softmax,
    "attention": attention,
}
FUSIONS = {"late": late_fusion, "middle": middle_fusion}
# What the convolutions see, and how they pool it to 10 frames a second.
MELS = {
    "authors": {"mel": MelParameters(), "blocks": BLOCKS},
    "speech": {"mel": SPEECH_MEL, "blocks": SPEECH_BLOCKS},
}
EMBEDDED_ENCODER, HUB_ENCODER = "embedded", "use"
CLIPS_AT_ONCE = 32  # in validation
RECIPE_OPTIONS = {
    "--batch-size": ("batch_size", at_least(1), "clips a step"),
    "--learning-rate": ("learning_rate", float, "Adam's, at the beginning"),
    "--steps": ("steps_per_checkpoint", at_least(1), "from one checkpoint to the next"),
    "--checkpoints": ("checkpoints", at_least(1), "to train for"),
}
N_SHOWN = 4  # clips in TensorBoard
SHARED_THRESHOLD, CLASS_THRESHOLDS = "shared", "class"


# The command line.


def run(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Run a script's main function and return its exit status; bad input is one line and 2."""
    return exit_status(lambda: main(argv))


def script(main: Callable[[Sequence[str] | None], None]) -> None:
    """End the process with the status of a script's main function."""
    sys.exit(run(main))


def parser(
    script_doc: str,
    out: str,
    recipe: Recipe | None,
    net: str = "crnn",
    systems: str | None = None,
) -> Parser:
    """Return the options that all training scripts have.

    recipe, net, systems and out: the script's defaults; without a recipe it follows the number of
    training clips.
    """
    made = Parser(description=script_doc.splitlines()[0])
    data = made.add_argument_group("clips")
    data.add_argument("--data", metavar="SHARDS", help="clips that mmat prepare made ready "
                      "(default: none)")  # fmt: skip
    data.add_argument("--media", metavar="DIR", help="the lists' media, to be prepared "
                      "first (default: none)")  # fmt: skip
    data.add_argument("--clip-seconds", type=float, default=10.0, help="in prepare (default 10)")
    data.add_argument("--frames", type=at_least(1), default=8, help="in prepare (default 8)")
    data.add_argument("--workers", type=at_least(0), default=2, help="in prepare (default 2)")
    model = made.add_argument_group("what is built")
    model.add_argument(
        "--systems",
        type=_systems,
        default=systems,
        metavar="NAME,…",
        help=f"of {', '.join(SYSTEMS)} (default {systems or 'all that can be'})",
    )
    model.add_argument(
        "--audio",
        choices=("recipe", NAMES),
        default="recipe",
        help="the paper's networks, trained; or names: yamnet and the image network stay as they "
        "are, and what is learnt starts from the names of the labels (default recipe)",
    )
    model.add_argument("--net", choices=("crnn", "talnet"), default=net, help=f"(default {net})")
    model.add_argument("--mel", choices=MELS, default="authors", help="windows of the crnn: "
                       "64 ms every 25 ms, or 25 ms every 10 ms (default authors)")  # fmt: skip
    model.add_argument(
        "--pooling", choices=POOLINGS, default="linear", help="over time (default linear)"
    )
    model.add_argument("--fusion", choices=FUSIONS, default="late", help="(default late)")
    model.add_argument(
        "--image-model",
        choices=IMAGE_NETWORKS,
        help="default: what the shards were prepared with, else inception_v3",
    )
    model.add_argument(
        "--text-encoder",
        metavar="NAME",
        help=f"{HUB_ENCODER} (Universal Sentence Encoder v4), {EMBEDDED_ENCODER} or "
        "a TF-Hub handle (default: embedded for the embedded image network)",
    )
    model.add_argument(
        "--audio-encoder",
        metavar="NAME",
        default="none",
        help="none, yamnet or a TF-Hub handle, in place of the convolutions (default none)",
    )
    train = made.add_argument_group("training")
    train.add_argument("--out", default=out, help=f"all results (default {out})")
    for option, (field, convert, what) in RECIPE_OPTIONS.items():
        train.add_argument(
            option,
            type=convert,
            default=getattr(recipe, field, None),
            help=f"{what} ({_recipe_default(field, recipe)})",
        )
    train.add_argument(
        "--seed", type=at_least(0), default=0, help="of weights and order (default 0)"
    )
    train.add_argument(
        "--draw-unlabelled",
        action="store_true",
        help="in class-balanced batches draw clips without a label too, as often as those of a "
        "class (default: never)",
    )
    train.add_argument(
        "--precision",
        choices=("auto", *POLICIES),
        default="auto",
        help="of the audio branch; auto measures which is fastest (default auto)",
    )
    train.add_argument("--devices", choices=DEVICES, default="one", help="(default one)")
    train.add_argument(
        "--deterministic",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the same weights from the same command, to the last bit (default: on)",
    )
    train.add_argument(
        "--boards",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="TensorBoard, in OUT/tensorboard (default: on)",
    )
    train.add_argument("--again", action="store_true", help="train anew, prepare what changed "
                       "(default: go on)")  # fmt: skip
    return made


def _recipe_default(field: str, recipe: Recipe | None) -> str:
    if recipe is not None:
        return f"default {getattr(recipe, field):g}"
    large, small = getattr(Recipe(), field), getattr(Recipe.for_list(1), field)
    small = "a pass" if field == "steps_per_checkpoint" else f"{small:g}"
    return f"default {small}, {large:g} from {LARGE_LIST:,} training clips on"


def _systems(text: str) -> tuple[str, ...]:
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in SYSTEMS]
    if unknown or len(set(wanted)) != len(wanted):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of {', '.join(SYSTEMS)}")
    return tuple(name for name in SYSTEMS if name in wanted)


def settle_recipe(arguments: argparse.Namespace, n_clips: int) -> None:
    """Give the recipe's options that were not named the values for so many training clips.

    Says which they are, and why.
    """
    recipe = Recipe.for_list(n_clips)
    for option, (field, _, _) in RECIPE_OPTIONS.items():
        name = option.removeprefix("--").replace("-", "_")
        if getattr(arguments, name) is None:
            setattr(arguments, name, getattr(recipe, field))
    found = recipe_of(arguments)
    size = f"{LARGE_LIST:,} or more" if n_clips >= LARGE_LIST else f"fewer than {LARGE_LIST:,}"
    print(
        f"recipe for {n_clips:,} training clips ({size}): {found.checkpoints} checkpoints of "
        f"{found.steps_per_checkpoint} batches of {found.batch_size}, learning rate "
        f"{found.learning_rate:g}, {found.clips / n_clips:.0f} passes; to change with "
        f"{', '.join(RECIPE_OPTIONS)}",
        flush=True,
    )


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe of the audio branch: the script's, with what the command line changes."""
    return Recipe(
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        steps_per_checkpoint=arguments.steps,
        checkpoints=arguments.checkpoints,
        seed=arguments.seed,
    )


def encoder_of(arguments: argparse.Namespace) -> AudioEncoder | None:
    """Return the audio encoder of the command line, None for `none`."""
    name = arguments.audio_encoder
    return None if name == "none" else audio_encoder(name)


def text_encoder(name: str | None, image_model: str) -> TextEncoder:
    """Return a text encoder by its name or handle; by default the image network's companion."""
    if name is None:
        name = EMBEDDED_ENCODER if image_model == "efficientnet_lite0" else HUB_ENCODER
    if name == EMBEDDED_ENCODER:
        return embedded_text_encoder()
    return _hub_encoder(UNIVERSAL_SENTENCE_ENCODER if name == HUB_ENCODER else name)


_hub_encoder = functools.cache(hub_text_encoder)  # a gigabyte that is loaded once


def begin(arguments: argparse.Namespace) -> tf.distribute.Strategy | None:
    """Tell TensorFlow how to compute, before anything else; return the devices' strategy.

    What it draws and computes is then the same in every run of this command.
    """
    keras.utils.set_random_seed(arguments.seed)
    if arguments.deterministic:
        tf.config.experimental.enable_op_determinism()
    return make_strategy(arguments.devices)


# The clips: shards, prepared from lists and media where need be.


def queues_of(arguments: argparse.Namespace) -> Queues:
    """Return what class-balanced batches draw equally often."""
    return queues_with_unlabelled if arguments.draw_unlabelled else class_queues


def open_or_prepare(
    arguments: argparse.Namespace, read: Callable[[], ReadList | None], lists_option: str
) -> Corpus:
    """Open the shards of the command line, or prepare them in OUT/shards.

    read: reads the lists, None where none is named; lists_option: how they are named.
    """
    if arguments.data:
        if arguments.media:
            raise InputError("--data and --media: clips are prepared already, or they are not")
        corpus = _opened(arguments.data)
        asked, seen = arguments.image_model, corpus.index.get("image_network")
        if asked and asked != seen:
            raise InputError(
                f"{arguments.data}: its pictures went through {seen or 'no network'}, not {asked}; "
                f"prepare them with --image-model {asked}"
            )
        return corpus
    if arguments.devices == "workers":
        raise InputError("--devices workers: give --data, shards that every machine can read")
    if not arguments.media:
        raise InputError(f"no clips: give --data SHARDS, or {lists_option} and --media DIR")
    found = read()
    if found is None:
        raise InputError(f"{lists_option} is missing: which of the media are the clips?")
    log_dropped(found.dropped)
    return _opened(_prepared(arguments, found))


def _opened(folder: str | pathlib.Path) -> Corpus:
    corpus = open_corpus(folder)
    if corpus.held_out is not None:
        held_out, n_clips = len(corpus.held_out), corpus.index["splits"][TRAIN]["clips"]
        what = f"{held_out} of {n_clips} training clips are held out"
        print(f"{folder}: no split 'validation'; {what}")
    return corpus


def _prepared(arguments: argparse.Namespace, found: ReadList) -> pathlib.Path:
    if not 0 < arguments.clip_seconds < float("inf"):
        raise InputError(f"--clip-seconds {arguments.clip_seconds}: no duration above 0")
    sound_alone = arguments.systems == ("audio",)
    folder, from_names = pathlib.Path(arguments.out, "shards"), arguments.audio == NAMES
    network = "efficientnet_lite0" if from_names else "inception_v3"
    index = prepare(
        with_validation(found.clips),
        arguments.media,
        folder,
        found.labels,
        image_network=None if sound_alone else arguments.image_model or network,
        n_frames=arguments.frames,
        clip_seconds=arguments.clip_seconds,
        workers=arguments.workers,
        overwrite=arguments.again,
        audio_encoder=(encoder_of(arguments) or "yamnet") if from_names else None,
    )
    counts = ", ".join(f"{name} {split['clips']}" for name, split in index["splits"].items())
    failures, warned = index["failures"], index.get("warnings", 0)
    print(f"{folder}: {counts}; {failures} clips cannot be used, {warned} have a warning")
    return folder


def with_validation(clips: list[Clip]) -> list[Clip]:
    """Return the clips, a tenth of those of split `train` with the split `validation` instead.

    A list that has that split already stays as it is. Raises InputError without training clips.
    """
    if any(clip.split == VALIDATION for clip in clips):
        return clips
    train = [clip for clip in clips if clip.split == TRAIN]
    if not train:
        raise InputError("the lists name no clip of the split 'train'; there is nothing to learn")
    return [
        *validation_slice(train, HELD_OUT_SHARE),
        *(clip for clip in clips if clip.split != TRAIN),
    ]


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


# Training, from checkpoint to checkpoint.


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

    def _callbacks(self, name: str, recipe: Recipe, validation: "ValidationSet") -> list:
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


def learn_from_names(arguments: argparse.Namespace, corpus: Corpus) -> dict[str, Bundle]:
    """Learn a tagger that starts from the names of its labels, and save the systems asked for.

    `fused` is the whole tagger; `audio` and `video` are its branches, at the same threshold. Raises
    InputError as `mmat.training.learn.learn` does, and for a branch that the shards do not allow.
    """
    learnt = learn(corpus, progress=True)
    for sense, chosen in learnt.chosen.items():
        print(f"{sense}: ridges {chosen}")
    model = learnt.bundle.model
    senses = [name for name in ("audio", "video") if name in model.output]
    possible = tuple(name for name in SYSTEMS if name in senses or len(senses) == 2)
    missing = [name for name in arguments.systems or () if name not in possible]
    if missing:
        raise InputError(
            f"{corpus.folder}: holds no frozen outputs for {missing[0]}; prepare the clips with "
            "--audio-encoder and --image-model"
        )
    saved = {}
    for name in arguments.systems or possible:
        own = sense_alone(model, name) if name in senses else model
        saved[name] = replace(learnt.bundle, model=own)
        save_bundle(pathlib.Path(arguments.out, name), saved[name])
    return saved


def sense_alone(model: keras.Model, sense: str) -> keras.Model:
    """Return the model of one sense of a tagger that starts from names."""
    output = model.output
    outputs = {"clip": output[sense], "frame": output.get(f"{sense}_frame", output["frame"])}
    unread = OF_PICTURES if sense == "audio" else ()
    inputs = {key: x for key, x in model.input.items() if key not in unread}
    return keras.Model(inputs, outputs, name=sense)


def watched(task: Task) -> str:
    """Return the validation figure by which the best checkpoint of a task is chosen.

    Of values it is the loss, their mean absolute error: figures of rounded values or of signs jump.
    """
    if task.is_regression:
        return "val_loss"
    return "val_uar" if task.is_multi_class else "val_f1"


class ValidationSet:
    """The validation clips, and what a model predicts of them by now: `truth` and `scores`.

    Called with the model it gives `val_loss` over the clips that the model can judge, and over all
    clips the figures of the task (`mmat.metrics.tagging`), each with `val_` before its name; those
    of several labels a clip at the one best threshold. can_judge: bool `(clips,)`.
    """

    def __init__(self, corpus: Corpus, model: keras.Model):
        self.corpus, self.model, self.task = corpus, model, corpus.task
        self.predictor = Predictor(model, self.task, CLIPS_AT_ONCE)
        names = [*self.predictor.inputs, *self.predictor.flags]
        self.clips = corpus.once(VALIDATION, names, CLIPS_AT_ONCE)
        self.truth, self.scores, self.can_judge = None, None, None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        task, (truth, scores, can_judge) = self.task, self.predictor.on_validation(self.clips)
        self.truth, self.scores, self.can_judge = truth, scores, can_judge
        threshold = best_single_threshold(truth, scores) if task == MULTI_LABEL else 0.0
        found = task_figures(task, truth, decide(task, scores, threshold), scores)
        loss = clip_loss({"clip": scores[can_judge]}, truth[can_judge], task)
        named = {f"val_{SHORT.get(name, name)}": figure for name, figure in found.items()}
        return {"val_loss": float(loss)} | named

    def fixed_clips(self) -> FixedClips | None:
        """Return the first clips with sound, to see and to hear in TensorBoard."""
        names = list(dict.fromkeys([*self.model.input, "waveform", "ids"]))
        clips = self.corpus.once(VALIDATION, names, 1).as_numpy_iterator()
        clips = list(itertools.islice(clips, N_SHOWN))
        if not clips:
            return None
        arrays = {name: _padded([x[name] for x, _ in clips]) for name in names}
        return FixedClips(
            [clip.decode() for clip in arrays["ids"]],
            arrays["waveform"],
            {name: arrays[name] for name in self.model.input},
            np.concatenate([weak_labels for _, weak_labels in clips]),
        )


def _padded(clips: list[np.ndarray]) -> np.ndarray:
    """Join arrays of a clip each; shorter sounds are padded with zeros at their ends."""
    longest = np.max([clip.shape[1:] for clip in clips], axis=0)
    ends = [[(0, 0), *((0, n) for n in longest - clip.shape[1:])] for clip in clips]
    return np.concatenate([np.pad(*each) for each in zip(clips, ends, strict=True)])


# The report: figures with intervals, a page a system, report.json.


def evaluate_on(
    corpus: Corpus, systems: dict[str, Bundle], split: str, out: pathlib.Path
) -> dict[str, Evaluation]:
    """Measure systems on a split, and leave a report folder of each: OUT/report/NAME-SPLIT."""
    found = {}
    for name, bundle in systems.items():
        print(f"== {name} on {split}", flush=True)
        found[name] = evaluate(bundle, corpus.folder, split, progress=on_terminal())
        folder = out / "report" / f"{name}-{split}"
        write_evaluation(folder, found[name], title=f"{name} on {split}")
    return found


def gain_of(found: dict[str, Evaluation], name: str, over: str) -> dict | None:
    """By how much a system is above another, paired over clips, each with its own thresholds.

    None where one of them was not measured.
    """
    if not {name, over} <= found.keys():
        return None
    first, second = found[over], found[name]
    pair = (first.fired, first.scores), (second.fired, second.scores)
    return figures.difference(second.task, second.truth, *pair)


def is_better(gain: Mapping[str, Mapping], figure: str) -> bool:
    """Whether a gain of a figure is one; of an error less is better."""
    return gain[figure]["estimate"] < 0 if figure == "mae" else gain[figure]["estimate"] > 0


def keep_better(corpus: Corpus, systems: dict[str, Bundle], out: pathlib.Path) -> dict | None:
    """Leave in OUT/auto the better of audio and fused by validation, and say by how much.

    Of equals audio. Returns its name and the paired gain, None without both.
    """
    if not {"audio", "fused"} <= systems.keys():
        return None
    pair = []
    for name in ("audio", "fused"):
        validation, task = ValidationSet(corpus, systems[name].model), corpus.task
        validation(systems[name].model)
        fired = decide(task, validation.scores, systems[name].thresholds)
        pair.append((fired, validation.scores))
    gain, figure = figures.difference(task, validation.truth, *pair), _main(corpus)
    kept = "fused" if is_better(gain, figure) else "audio"
    save_bundle(out / "auto", systems[kept])
    print(gain_line(gain, figure, "fused over audio on validation"))
    print(f"auto: {kept} is the better one, and kept in {out / 'auto'}")
    return {"auto": kept, "fused_over_audio": gain}


def _main(corpus: Corpus) -> str:
    return figure_names(corpus.task)[0]


def untrained(corpus: Corpus, with_pictures: bool) -> Bundle | None:
    """What can be had without training: the tagger that goes by the labels' names.

    None, and said why, where there is none: for other tasks than several labels a clip, for clips
    with lengths of their own, and where its networks were not fetched.
    """
    if corpus.task != MULTI_LABEL or corpus.ragged:
        return None
    network = {"image_network": corpus.network.name} if corpus.network and with_pictures else {}
    try:
        bundle = zero_shot_bundle(corpus.labels, **network)
    except InputError as error:
        print(f"untrained: not measured: {error}")
        return None
    return bundle if network else replace(bundle, model=sense_alone(bundle.model, "audio"))


def say_if_lost(found: dict[str, Evaluation], corpus: Corpus) -> None:
    """Say so where no trained system is better than the untrained one."""
    figure = _main(corpus)
    gains = {name: gain_of(found, name, "untrained") for name in found if name != "untrained"}
    if not all(gains.values()) or any(is_better(gain, figure) for gain in gains.values()):
        return
    for name, gain in gains.items():
        print(gain_line(gain, figure, f"{name} over untrained"))
    print(
        "training lost: the labels' names alone do as well or better. Use `mmat tag --labels`, or "
        "learn from names by `mmat train`; this recipe needs more clips, or more passes over them"
    )


def write_report(
    out: pathlib.Path, arguments: argparse.Namespace, systems: dict[str, Bundle], measured: dict
) -> None:
    """Write OUT/report.json: what was asked for, and what was measured on each split."""
    settings = {"mmat": mmat.__version__, **vars(arguments)}
    validation = {name: bundle.figures for name, bundle in systems.items()}
    report = {"settings": settings, "validation": validation, **measured}
    with atomic_path(out / "report.json") as part:
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    print(f"\n{out}/report.json; models, TensorBoard and pages lie beside it")


@dataclass(frozen=True)
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

    @property
    def fired(self) -> np.ndarray:
        """Which classes fire in the test clips, bool `(clips, classes)`."""
        return fire(self.test, self.thresholds)

    def on_test(self, test: np.ndarray) -> "Scores":
        """Return the same thresholds with other test scores."""
        return replace(self, test=test)


# Tables: means with their spread, gains with intervals.


def mean_and_spread(values: Iterable[float]) -> dict:
    """Mean, standard deviation (0 of one value) and the values, one a seed.

    >>> mean_and_spread([40.0, 44.0])["mean"]
    42.0
    """
    values = list(map(float, values))
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "sd": spread, "seeds": values}


def mean_cell(figure: Mapping, scale: float = 1.0) -> str:
    """A mean with its spread, for a table; scale: 100 for fractions in per cent.

    >>> mean_cell({"mean": 0.4204, "sd": 0.0283}, scale=100)
    '42.0 ± 2.8'
    """
    return f"{scale * figure['mean']:.1f} ± {scale * figure['sd']:.1f}"


def between(ends: Sequence[float], sign: str = "") -> str:
    """The two ends of an interval in per cent.

    >>> between([0.125, 0.25]), between([-0.125, 0.25], "+")
    ('12.5 to 25.0', '-12.5 to +25.0')
    """
    return " to ".join(f"{100 * end:{sign}.1f}" for end in ends)


def figures_table(systems: Mapping[str, Mapping], columns: Sequence[str]) -> str:
    """A row a system of figures, with intervals over clips where there are.

    All is in per cent, but for a mean absolute error and a correlation.
    """
    rows = [
        [name, *(_figure_cell(of, column) for column in columns)] for name, of in systems.items()
    ]
    if set(columns).isdisjoint(NO_SHARES):
        return tabulate.tabulate(rows, ["%", *columns], disable_numparse=True)
    head = [column + ("" if column in NO_SHARES else ", %") for column in columns]
    return tabulate.tabulate(rows, ["", *head], disable_numparse=True)


def _figure_cell(of: Mapping, column: str) -> str:
    if of.get(column) is None:
        return ""
    ends = of.get("intervals", {}).get("clips", {}).get(column)
    interval = (
        " [{}, {}]".format(*(shown(column, ends[x]) for x in ("low", "high"))) if ends else ""
    )
    return f"{shown(column, of[column])}{interval}"


def mean_gains(
    truth, firsts: Sequence[tuple], seconds: Sequence[tuple], groups: Sequence[str]
) -> dict[str, dict[str, Difference]]:
    """How much the mean of the second system is above the first's, drawn by clip and by group.

    firsts, seconds: `(fired, scores)` of each training. Returns the differences by what is drawn,
    then by figure, as `mmat.metrics.bootstrap.mean_difference` names them.
    """
    return {by: mean_difference(truth, firsts, seconds, of) for by, of in draws(groups).items()}


def draws(groups: Sequence[str]) -> dict[str, Sequence[str] | None]:
    """What intervals are drawn by: each clip alone, and whole source groups."""
    return {"clip": None, "group": groups}


def gain_line(
    gains: Mapping[str, Mapping], figure: str = "f1", name: str = "fused over audio", by: str = ""
) -> str:
    """One figure's gain in words; gains: `Difference`s as dicts, by figure; by: what was drawn.

    >>> gain = {"estimate": 0.05, "low": -0.01, "high": 0.1, "share_above_zero": 0.975}
    >>> gain_line({"f1": gain}, by="clip")
    'fused over audio: +5.0 points of F1, 95 % interval -1.0 to +10.0, above 0 in 97.5 % of draws by clip'
    """  # noqa: E501 - the line as it is printed
    gain, of_scale, title = gains[figure], figure in NO_SHARES, figure.upper()
    scale, decimals, unit = (1, 3, title) if of_scale else (100, 1, f"points of {title}")
    estimate, low, high = (f"{scale * gain[x]:+.{decimals}f}" for x in ("estimate", "low", "high"))
    above = gain["share_above_zero"]
    # Of an error less is better.
    side, share = ("below", 1 - above) if figure == "mae" else ("above", above)
    return (
        f"{name}: {estimate} {unit}, 95 % interval {low} to {high}, {side} 0 in "
        f"{100 * share:.1f} % of draws{f' by {by}' if by else ''}"
    )
