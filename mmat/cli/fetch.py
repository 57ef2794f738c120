"""`mmat fetch`: download what mmat works with."""

import argparse

from mmat.errors import InputError


def add(commands) -> None:
    """Add the command to the parser's."""
    what = "download what mmat works with, once, into its cache"
    command = commands.add_parser("fetch", help=what, description=what.capitalize() + ".")
    command.add_argument(
        "what", choices=["models", "mini"], help="the pretrained weights, or the mini corpus"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be done")
    command.add_argument("--debs", metavar="FOLDER", help="where the Debian packages lie (mini)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if arguments.what == "mini":
        from mmat.fetch.mini import fetch_and_compose

        fetch_and_compose(dry_run=arguments.dry_run, deb_folder=arguments.debs)
        return 0
    if arguments.debs:
        raise InputError("--debs: packages hold the mini corpus, not the models; leave it out")
    from mmat.fetch.weights import fetch_models

    for name, folder in fetch_models(dry_run=arguments.dry_run).items():
        print(f"would fetch {name} into {folder}" if arguments.dry_run else f"{name}: {folder}")
    return 0
