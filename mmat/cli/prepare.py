"""`mmat prepare`: a list of clips into shards."""

import argparse

from mmat.cli.common import at_least, on_terminal


def add(commands) -> None:
    """Add the command to the parser's."""
    what = "decode a list of clips into shards for training"
    command = commands.add_parser("prepare", help=what, description=what.capitalize() + ".")
    command.add_argument("list", metavar="LIST", help="CSV with the columns file,labels[,split,…]")
    command.add_argument("--media", metavar="DIR", required=True, help="where the files lie")
    command.add_argument("--labels", metavar="CSV", required=True, help="index,mid,display_name")
    command.add_argument("--out", metavar="DIR", required=True, help="the folder of shards")
    command.add_argument("--events", metavar="TSV", help="strong times of the events")
    command.add_argument(
        "--image-model",
        metavar="NAME",
        default="efficientnet_lite0",
        help="what looks at pictures, or none",
    )
    command.add_argument("--frames", type=at_least(1), default=8, help="a clip (default 8)")
    command.add_argument("--workers", type=at_least(0), default=2, help="to decode (default 2)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.data.lists import read_clip_list
    from mmat.labels import LabelSet

    labels = LabelSet.from_csv(arguments.labels)
    clips = read_clip_list(arguments.list, labels, arguments.events)
    from mmat.data.prepare import prepare

    images = {}
    if arguments.image_model != "none":
        from mmat.models.pretrained.hub import HubImageClassifier
        from mmat.models.pretrained.registry import image_network

        network = image_network(arguments.image_model)
        images = {
            "image_classifier": HubImageClassifier.of(network),
            "image_network": network.name,
            "image_size_px": network.input_size_px,
        }
    index = prepare(
        clips,
        arguments.media,
        arguments.out,
        labels,
        n_frames=arguments.frames,
        workers=arguments.workers,
        progress=on_terminal(),
        **images,
    )
    for split, entry in index["splits"].items():
        print(f"{split}: {entry['clips']} clips")
    if index["failures"]:
        print(f"{index['failures']} clips cannot be read, see {arguments.out}/failures.csv")
    return 0
