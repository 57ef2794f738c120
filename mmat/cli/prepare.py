"""`mmat prepare`: lists of clips into shards."""

import argparse
import pathlib

from mmat.cli.common import (
    SOME_FAILED,
    above_zero,
    add_command,
    add_labels,
    add_max_seconds,
    add_networks,
    add_workers,
    at_least,
    log,
    read_lists,
)
from mmat.files import InputError

_SECONDS = above_zero("number of seconds")


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(
        commands,
        "prepare",
        "decode lists of clips into shards for training",
        run,
        "A run that was stopped goes on where it was; shards that are there already are reused.",
    )
    command.add_argument("lists", metavar="LIST", nargs="*", help="of any form in docs/data.md")
    command.add_argument("--media", metavar="DIR", help="where the media lie")
    add_labels(command, "those to keep (default: the lists' own; values need a task)")
    command.add_argument("--out", metavar="DIR", help="the folder of shards")
    command.add_argument("--events", metavar="TSV", help="strong times of the events")
    command.add_argument("--split", metavar="NAME", help="of all clips (default: the lists' own)")
    command.add_argument("--strict", action="store_true", help="a wrong row is an error")
    add_max_seconds(command)
    kept = "; its outputs are kept too, and can be added to finished shards"
    add_networks(command, encoder="none", more=kept)
    command.add_argument("--frames", type=at_least(1), default=8, help="a clip (default 8)")
    command.add_argument("--keep-frames", action="store_true", help="store pictures as JPEG")
    command.add_argument(
        "--clip-seconds",
        metavar="S",
        type=_clip_seconds,
        default=10.0,
        help="sound is cut or padded to this, or left whole (default 10)",
    )
    command.add_argument(
        "--clips-per-shard", metavar="N", type=at_least(1), default=512, help="(default 512)"
    )
    add_workers(command)
    command.add_argument(
        "--limit-seconds",
        metavar="S",
        type=_SECONDS,
        default=60.0,
        help="a clip that takes longer to decode has failed (default 60)",
    )
    command.add_argument(
        "--max-failures",
        metavar="N",
        type=at_least(0),
        help=f"with more clips that cannot be used, end with status {SOME_FAILED}",
    )
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace shards of another list, other settings or changed media",
    )
    command.add_argument("--dry-run", action="store_true", help="estimate disk and time")
    command.add_argument("--verify", action="store_true", help="read a folder of shards again")
    command.add_argument(
        "--runner",
        metavar="NAME",
        help="run as an Apache Beam pipeline; further options are Beam's, as --NAME=VALUE",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if arguments.verify:
        return _verify(arguments)
    for name, value in {"LIST": arguments.lists, "--media": arguments.media}.items():
        if not value:
            raise InputError(f"{name} is missing; see `mmat prepare --help`")
    if not arguments.out and not arguments.dry_run:
        raise InputError("--out is missing; see `mmat prepare --help`")
    read = read_lists(arguments, arguments.lists)
    if read.dropped:
        log("dropped", f"{len(read.dropped)} rows in all")
    return (_estimate if arguments.dry_run else _prepare)(arguments, read.clips, read.labels)


def _clip_seconds(text: str) -> float | None:
    return None if text == "whole" else _SECONDS(text)


def _what_is_kept(arguments: argparse.Namespace) -> dict:
    """Return the arguments that `prepare` and `estimate` have in common."""
    return {
        "image_network": None if arguments.image_model == "none" else arguments.image_model,
        "n_frames": arguments.frames,
        "clip_seconds": arguments.clip_seconds,
        "keep_frames": arguments.keep_frames,
        "limit_seconds": arguments.limit_seconds,
        "audio_encoder": None if arguments.audio_encoder == "none" else arguments.audio_encoder,
    }


def _prepare(arguments: argparse.Namespace, clips: list, labels) -> int:
    from mmat.shards.prepare import prepare

    beam_options = None
    if arguments.runner is not None:
        beam_options = [f"--runner={arguments.runner}", *arguments.beam_options]
    index = prepare(
        clips,
        arguments.media,
        arguments.out,
        labels,
        **_what_is_kept(arguments),
        clips_per_shard=arguments.clips_per_shard,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        beam_options=beam_options,
    )
    for split, entry in index["splits"].items():
        print(f"{split}: {entry['clips']} clips")
    if index["failures"]:
        table = pathlib.Path(arguments.out, "failures.csv")
        print(f"{index['failures']} clips cannot be used, see {table}")
    if index.get("warnings"):
        table = pathlib.Path(arguments.out, "warnings.csv")
        print(f"{index['warnings']} clips with a warning: {table}")
    limit = arguments.max_failures
    return SOME_FAILED if limit is not None and index["failures"] > limit else 0


def _estimate(arguments: argparse.Namespace, clips: list, labels) -> int:
    from mmat.shards.prepare import estimate

    found = estimate(clips, arguments.media, labels, **_what_is_kept(arguments))
    hours = found.seconds(arguments.workers) / 3600
    print(f"clips: {found.clips:,} ({found.found:,} found, {found.clips - found.found:,} missing)")
    if found.ways.told():
        print(f"media: {found.ways.line()}")
    if found.ways.doubt():
        log("warning", found.ways.doubt())
    if found.ways.told():
        print(f"media: {found.ways.line()}")
    if found.ways.doubt():
        log("warning", found.ways.doubt())
    print(f"tried: {found.sampled} ({found.unreadable} cannot be read)")
    print(f"on disk: {found.n_bytes / 1e9:.3g} GB, {found.bytes_a_clip / 1e6:.3g} MB a clip")
    print(f"time: {hours:.3g} hours with {arguments.workers} workers on this machine")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from mmat.shards.verify import verify

    folders = [*arguments.lists, *([arguments.out] if arguments.out else [])]
    if len(folders) != 1:
        raise InputError(f"--verify reads one folder of shards, not {len(folders)}")
    found = verify(folders[0])
    print(f"shards: {found.shards} of {found.shards_planned}, {found.n_bytes / 1e6:,.1f} MB")
    print(f"clips: {found.clips} of {found.listed}, {found.failures} cannot be used")
    print(f"with sound: {found.with_audio}, with pictures: {found.with_video}")
    if found.complete:
        print("complete, and as it was written")
    else:
        print(
            f"unfinished, with {found.begun} clips in shards that are not whole; what is there is "
            "as it was written: run the same mmat prepare command again"
        )
    return 0
