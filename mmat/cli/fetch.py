"""`mmat fetch`: download what mmat works with."""

import argparse

from mmat.cli.common import add_command
from mmat.files import InputError
from mmat.startup import on_terminal

WHAT = {
    "models": "the pretrained weights",
    "mini": "the mini corpus",
    "drums": "426 drum hits of ten instruments",
    "sounds": "131 everyday sounds of eleven kinds",
    "speech-emotion": "450 recordings of acted speech in three emotions",
    "dcase2017": "the lists of DCASE 2017 task 4",
    "audioset": "the lists of AudioSet",
}
LISTS = ("dcase2017", "audioset")
RECORDINGS = ("drums", "sounds")
# Which of them an option is about; it would be silently without effect for the others.
OPTIONS = {
    "debs": ("mini", *RECORDINGS),
    "out": LISTS,
    "mirror": LISTS,
    "sha256": LISTS,
    "trust_server": LISTS,
    "unbalanced": ("audioset",),
}


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(
        commands, "fetch", "download what mmat works with, once, into its cache", run
    )
    command.add_argument(
        "what", choices=WHAT, help="; ".join(f"{name}: {text}" for name, text in WHAT.items())
    )
    command.add_argument("--dry-run", action="store_true", help="print what would be done")
    command.add_argument(
        "--debs", metavar="FOLDER", help="where the Debian packages lie (mini, drums, sounds)"
    )
    command.add_argument(
        "--out", metavar="DIR", help="folder for the lists (default: CACHE/lists/NAME)"
    )
    command.add_argument(
        "--mirror", metavar="URL", help="fetch the lists from below this address instead"
    )
    command.add_argument(
        "--sha256",
        metavar="FILE=HEX",
        action="append",
        help="the sha256 that you expect of a list that has none on record; repeatable",
    )
    command.add_argument(
        "--trust-server",
        action="store_true",
        help="take lists that have no sha256 on record as they come, and record theirs",
    )
    command.add_argument(
        "--unbalanced",
        action="store_true",
        help="also the unbalanced training list, two million rows, about 100 MB (audioset)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    for option, subjects in OPTIONS.items():
        if getattr(arguments, option) and arguments.what not in subjects:
            name = option.replace("_", "-")
            raise InputError(
                f"--{name}: is about {' and '.join(subjects)}, not {arguments.what}; leave it out"
            )
    if arguments.what in LISTS:
        _fetch_lists(arguments)
    elif arguments.what == "mini":
        from mmat.corpora.mini import fetch_and_compose

        fetch_and_compose(dry_run=arguments.dry_run, deb_folder=arguments.debs)
    elif arguments.what in RECORDINGS:
        from mmat.corpora.recordings import fetch_recordings

        folder = fetch_recordings(
            arguments.what, dry_run=arguments.dry_run, deb_folder=arguments.debs
        )
        if not arguments.dry_run:
            print(f"{arguments.what}: {folder}")
    elif arguments.what == "speech-emotion":
        from mmat.corpora.speech_emotion import NOTICE, fetch_speech_emotion

        folder = fetch_speech_emotion(dry_run=arguments.dry_run, progress=on_terminal())
        if not arguments.dry_run:
            print(f"speech-emotion: {folder}")
        print(NOTICE)
    else:
        from mmat.corpora.weights import fetch_models

        for name, folder in fetch_models(dry_run=arguments.dry_run).items():
            print(f"would fetch {name} into {folder}" if arguments.dry_run else f"{name}: {folder}")
    return 0


def _fetch_lists(arguments: argparse.Namespace) -> None:
    from mmat.corpora.public_lists import fetch_lists, plan_lists

    planned = plan_lists(
        arguments.what,
        arguments.out,
        arguments.mirror,
        dict(_expectation(text) for text in arguments.sha256 or ()),
        arguments.unbalanced,
    )
    if arguments.dry_run:
        for each in planned:
            without = "" if each.sha256 else " (no sha256 on record: --sha256 or --trust-server)"
            print(f"would fetch {each.url} into {each.path.parent}{without}")
        return
    trust = arguments.trust_server
    for path, rows in fetch_lists(planned, progress=on_terminal(), trust_server=trust):
        print(f"{path}: {rows} rows", flush=True)


def _expectation(text: str) -> tuple[str, str]:
    file, equals, sha256 = text.rpartition("=")
    if not (file and equals):
        raise InputError(f"--sha256 {text!r}: write it as FILE=HEX")
    return file, sha256
