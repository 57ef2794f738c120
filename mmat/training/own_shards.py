"""The clips of a training, prepared into shards in mmat's cache, a folder for each choice of them.

A training that was stopped, or that is run again, finds them there.
"""

import dataclasses
import hashlib
import math
import os
import pathlib
import warnings

import tqdm

from mmat.files import cache_folder
from mmat.lists.pieces import pieces
from mmat.media.find import MediaFolder
from mmat.pretrained.registry import image_network as network_of
from mmat.shards.clip_job import list_sha256
from mmat.shards.corpus import Corpus, open_corpus
from mmat.shards.folder import FAILURES_FILE, WARNINGS_FILE
from mmat.shards.prepare import prepare
from mmat.training.own_clips import Source
from mmat.training.scratch import CLIP_SECONDS

KEY_DIGITS = 16  # of the sha256 that names a folder of shards


@dataclasses.dataclass(frozen=True)
class Settings:
    """How clips are prepared; see `mmat.training.own.train`."""

    image_network: str | None
    audio_encoder: str | None
    clip_seconds: float | None
    workers: int
    cache: pathlib.Path
    progress: bool

    @classmethod
    def of(
        cls,
        image_network: str | None,
        audio_encoder: str,
        workers: int | None,
        scratch: bool,
        cache: str | os.PathLike | None,
        progress: bool,
    ) -> "Settings":
        """Return the settings that the arguments of `mmat.training.own.train` make.

        Raises InputError for an unknown image network.
        """
        if scratch:
            image_network, audio_encoder, clip_seconds = None, None, CLIP_SECONDS
        else:
            clip_seconds = None
            if image_network:
                network_of(image_network)  # raises for an unknown name
        if workers is None:
            workers = len(os.sched_getaffinity(0))
        return cls(
            image_network, audio_encoder, clip_seconds, workers, cache_folder(cache), progress
        )


def in_pieces(source: Source, settings: Settings) -> Source:
    """Return the clips, those of long files in pieces, with the labels of the whole."""
    media, clips, longest = MediaFolder(source.media), [], {}
    if settings.clip_seconds is not None:
        piece = settings.clip_seconds
        longest = {"longest": 1.5 * piece, "piece": piece}
    disable = None if settings.progress else True  # None: shown on a terminal only
    for clip in tqdm.tqdm(source.clips, "read", unit=" clips", disable=disable):
        found = media.find(clip)
        seconds = math.nan if found is None else found.duration_seconds()
        clips += pieces(clip, seconds, **longest)
    return dataclasses.replace(source, clips=clips)


def prepared(source: Source, settings: Settings) -> pathlib.Path:
    """Return the folder of shards of these clips, which are made unless they are there.

    What could not be read, or only in part, is a warning. Raises InputError where nothing could.
    """
    what = [str(source.media.resolve()), source.labels, list_sha256(source.clips)]
    what += [settings.image_network, settings.audio_encoder, settings.clip_seconds]
    key = hashlib.sha256(repr(what).encode(errors="backslashreplace")).hexdigest()
    shards = settings.cache / "train" / key[:KEY_DIGITS]
    index = prepare(
        source.clips,
        source.media,
        shards,
        source.labels,
        settings.image_network,
        clip_seconds=settings.clip_seconds,
        workers=settings.workers,
        overwrite=True,  # where media have changed
        progress=settings.progress,
        audio_encoder=settings.audio_encoder,
    )
    if index["failures"]:
        where = shards / FAILURES_FILE
        warnings.warn(f"{index['failures']} clips cannot be read, see {where}", stacklevel=3)
    if index.get("warnings"):
        where = shards / WARNINGS_FILE
        warnings.warn(f"{index['warnings']} clips with a warning: {where}", stacklevel=3)
    return shards


def corpus_of_names(shards: pathlib.Path) -> Corpus:
    """Return the corpus to learn from by names: without image network if no clip has pictures."""
    corpus = open_corpus(shards, hold_out=False)
    if corpus.index["n_image_labels"]:
        return corpus
    return dataclasses.replace(corpus, index=corpus.index | {"image_network": None})
