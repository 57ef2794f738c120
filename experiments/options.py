"""The command line that the training scripts share, and how they end on bad input."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras
import tensorflow as tf

from mmat.cli.common import Parser, at_least, exit_status
from mmat.models.audio import BLOCKS, SPEECH_BLOCKS
from mmat.models.features import SPEECH_MEL, MelParameters
from mmat.models.pooling import (
    attention,
    exponential_softmax,
    linear_softmax,
    max_pooling,
    mean_pooling,
)
from mmat.models.pretrained.registry import IMAGE_NETWORKS
from mmat.models.pretrained.text import (
    UNIVERSAL_SENTENCE_ENCODER,
    TextEncoder,
    embedded_text_encoder,
    hub_text_encoder,
)
from mmat.training import Recipe, make_strategy
from mmat.training.distributed import DEVICES
from mmat.training.precision import POLICIES

POOLINGS = {
    "max": max_pooling,
    "mean": mean_pooling,
    "linear": linear_softmax,
    "exp": exponential_softmax,
    "attention": attention,
}
# What the convolutions see, and how they are to pool it to 10 frames a second.
MELS = {
    "authors": {"mel": MelParameters(), "blocks": BLOCKS},
    "speech": {"mel": SPEECH_MEL, "blocks": SPEECH_BLOCKS},
}
SYSTEMS = ("audio", "video", "fused")
AUTHORS = Recipe()
EMBEDDED_ENCODER, HUB_ENCODER = "embedded", "use"


def run(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Run a script's main function and return its exit status; bad input is one line and 2."""
    return exit_status(lambda: main(argv))


def parser(script_doc: str, out: str, net: str = "crnn", systems: str | None = None) -> Parser:
    """Return the options that all scripts have; net, systems and out are the script's defaults."""
    made = Parser(description=script_doc.splitlines()[0])
    data = made.add_argument_group("clips")
    data.add_argument("--data", metavar="SHARDS", help="clips that mmat prepare made ready")
    data.add_argument("--media", metavar="DIR", help="the lists' media, to be prepared first")
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
    model.add_argument("--net", choices=("crnn", "talnet"), default=net)
    model.add_argument("--mel", choices=MELS, default="authors", help="windows of the crnn: "
                       "64 ms every 25 ms, or 25 ms every 10 ms")  # fmt: skip
    model.add_argument("--pooling", choices=POOLINGS, default="linear")
    model.add_argument("--fusion", choices=("late", "middle"), default="late")
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
        help="none, yamnet or a TF-Hub handle, in place of the convolutions",
    )
    train = made.add_argument_group("training")
    train.add_argument("--out", default=out, help=f"all results (default {out})")
    train.add_argument("--batch-size", type=at_least(1), default=AUTHORS.batch_size)
    train.add_argument("--learning-rate", type=float, default=AUTHORS.learning_rate)
    train.add_argument(
        "--steps",
        type=at_least(1),
        default=AUTHORS.steps_per_checkpoint,
        help="from one checkpoint to the next",
    )
    train.add_argument("--checkpoints", type=at_least(1), default=AUTHORS.checkpoints)
    train.add_argument("--seed", type=at_least(0), default=0)
    train.add_argument("--precision", choices=("auto", *POLICIES), default="auto")
    train.add_argument("--devices", choices=DEVICES, default="one")
    train.add_argument(
        "--deterministic",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the same weights from the same command, to the last bit",
    )
    train.add_argument(
        "--boards",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="TensorBoard, in OUT/tensorboard",
    )
    train.add_argument("--again", action="store_true", help="train anew, prepare what changed")
    return made  # fmt: skip


def recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe of the audio branch, the authors' where nothing else was asked for."""
    return Recipe(
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        steps_per_checkpoint=arguments.steps,
        checkpoints=arguments.checkpoints,
        seed=arguments.seed,
    )


def text_encoder(name: str | None, image_model: str) -> TextEncoder:
    """Return a text encoder by its name or handle; by default the image network's companion."""
    if name is None:
        name = EMBEDDED_ENCODER if image_model == "efficientnet_lite0" else HUB_ENCODER
    if name == EMBEDDED_ENCODER:
        return embedded_text_encoder()
    return hub_text_encoder(UNIVERSAL_SENTENCE_ENCODER if name == HUB_ENCODER else name)


def begin(arguments: argparse.Namespace) -> tf.distribute.Strategy | None:
    """Say to TensorFlow how it is to compute, before anything else; return the devices' strategy.

    What it draws and computes is then the same in every run of this command.
    """
    keras.utils.set_random_seed(arguments.seed)
    if arguments.deterministic:
        tf.config.experimental.enable_op_determinism()
    return make_strategy(arguments.devices)


def _systems(text: str) -> tuple[str, ...]:
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in SYSTEMS]
    if unknown or len(set(wanted)) != len(wanted):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of {', '.join(SYSTEMS)}")
    return tuple(name for name in SYSTEMS if name in wanted)


def script(main: Callable[[Sequence[str] | None], None]) -> None:
    """End the process with the status of a script's main function."""
    sys.exit(run(main))
