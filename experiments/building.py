"""What the training scripts train: each system built without its weights, and which of them can be.

What a model answers follows the task of the clips' labels. Of clips with lengths of their own the
models take a further input, `n_samples`.
"""

import argparse
import functools
from collections.abc import Sequence

import keras
import numpy as np
import options
from corpus import Corpus
from options import MELS, POOLINGS

from mmat.files import InputError
from mmat.models.audio import audio_branch, talnet
from mmat.models.fusion import fused_model, late_fusion, middle_fusion
from mmat.models.label_map import label_similarities
from mmat.models.pretrained.registry import audio_encoder
from mmat.models.pretrained.text import TextEncoder
from mmat.models.video import video_branch

FUSIONS = {"late": late_fusion, "middle": middle_fusion}


class Builder:
    """Builds the systems of a command line for a corpus."""

    def __init__(self, arguments: argparse.Namespace, corpus: Corpus):
        self.arguments, self.corpus = arguments, corpus
        self.sound = ["waveform", "n_samples"] if corpus.ragged else ["waveform"]

    def audio(self, dtype: str) -> keras.Model:
        """The authors' CRNN, their TALNet, or a recurrent layer on a frozen encoder."""
        options = {"pooling": POOLINGS[self.arguments.pooling], "dtype": dtype}
        options["ragged"] = self.corpus.ragged
        if self.arguments.net == "talnet":
            return talnet(self.corpus.labels, **options)
        name = self.arguments.audio_encoder
        encoder = None if name == "none" else audio_encoder(name)
        mel = MELS[self.arguments.mel]
        return audio_branch(self.corpus.labels, encoder=encoder, **mel, **options)

    def video(self) -> keras.Model:
        return video_branch(
            self.corpus.labels,
            similarities=self.similarities,
            clip_seconds=self.corpus.clip_seconds,
        )

    def fused(self, branches: Sequence[keras.Model]) -> keras.Model:
        fusion = FUSIONS[self.arguments.fusion]
        return fused_model(*branches, fusion, self.corpus.label_rates(balanced=True))

    @functools.cached_property
    def text_encoder(self) -> TextEncoder:
        return options.text_encoder(self.arguments.text_encoder, self.corpus.network.name)

    @functools.cached_property
    def similarities(self) -> np.ndarray:
        image_labels = self.corpus.network.labels()
        return label_similarities(image_labels, self.corpus.labels, self.text_encoder)


def possible_systems(arguments: argparse.Namespace, corpus: Corpus) -> tuple[str, ...]:
    """Return the systems to train; raises InputError where the clips do not allow those asked."""
    seen = corpus.network is not None
    all_that_can_be = tuple(x for x in options.SYSTEMS if x != "video" or not corpus.ragged)
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
