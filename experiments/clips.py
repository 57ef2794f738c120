"""The clips of a training script: shards, prepared from lists and media where need be."""

import argparse
import pathlib
from collections.abc import Callable

from experiments.options import NAMES, encoder_of
from mmat.cli.common import log_dropped
from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList
from mmat.lists.splits import VALIDATION, validation_slice
from mmat.shards.corpus import HELD_OUT_SHARE, TRAIN, Corpus, open_corpus
from mmat.shards.prepare import prepare


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
