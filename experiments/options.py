"""The options that all training scripts have, and what they stand for."""

import argparse
import functools

from mmat.cli.common import Parser, at_least
from mmat.models.audio import BLOCKS, SPEECH_BLOCKS
from mmat.models.features import SPEECH_MEL, MelParameters
from mmat.models.fusion import late_fusion, middle_fusion
from mmat.models.pooling import (
    attention,
    exponential_softmax,
    linear_softmax,
    max_pooling,
    mean_pooling,
)
from mmat.pretrained.registry import IMAGE_NETWORKS, AudioEncoder, audio_encoder
from mmat.pretrained.text import (
    UNIVERSAL_SENTENCE_ENCODER,
    TextEncoder,
    embedded_text_encoder,
    hub_text_encoder,
)
from mmat.shards.sampling import Queues, class_queues, queues_with_unlabelled
from mmat.training.distributed import DEVICES
from mmat.training.precision import POLICIES
from mmat.training.recipe import LARGE_LIST, Recipe

SYSTEMS = ("audio", "video", "fused")
NAMES = "names"  # of --audio
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
RECIPE_OPTIONS = {
    "--batch-size": ("batch_size", at_least(1), "clips a step"),
    "--learning-rate": ("learning_rate", float, "Adam's, at the beginning"),
    "--steps": ("steps_per_checkpoint", at_least(1), "from one checkpoint to the next"),
    "--checkpoints": ("checkpoints", at_least(1), "to train for"),
}


def training_parser(
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


def queues_of(arguments: argparse.Namespace) -> Queues:
    """Return what class-balanced batches draw equally often."""
    return queues_with_unlabelled if arguments.draw_unlabelled else class_queues
