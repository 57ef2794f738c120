"""The clips of a training script: shards, made of lists and media where need be."""

import argparse
import pathlib
from collections.abc import Callable

from mmat.cli.common import log_dropped
from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList
from mmat.lists.splits import VALIDATION, validation_slice
from mmat.shards.corpus import HELD_OUT_SHARE, TRAIN, Corpus, open_corpus
from mmat.shards.prepare import prepare


def corpus_of(
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
    folder = pathlib.Path(arguments.out, "shards")
    index = prepare(
        with_validation(found.clips),
        arguments.media,
        folder,
        found.labels,
        image_network=None if sound_alone else arguments.image_model or "inception_v3",
        n_frames=arguments.frames,
        clip_seconds=arguments.clip_seconds,
        workers=arguments.workers,
        overwrite=arguments.again,
    )
    counts = ", ".join(f"{name} {split['clips']}" for name, split in index["splits"].items())
    print(f"{folder}: {counts}; {index['failures']} clips cannot be used")
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
