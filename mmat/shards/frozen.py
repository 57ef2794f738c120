"""What an index says of the frozen networks whose outputs the shards hold: audio encoder, pictures.

The outputs are computed once, when clips are prepared, so that a training need not run the networks
again. An index without these entries is that of shards without such outputs.
"""

import os
from collections.abc import Iterable

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.pretrained.registry import AUDIO_ENCODERS, AudioEncoder

ENCODER, IMAGE_SIZE, IMAGE_SHA256 = "audio_encoder", "image_embedding_size", "image_network_sha256"
FROZEN_ENTRIES = (ENCODER, IMAGE_SIZE, IMAGE_SHA256)
SOUND_INPUTS = ("sound_scores", "sound_embeddings", "n_patches")
FROZEN_INPUTS = (*SOUND_INPUTS, "image_embeddings")
SOURCE_GROUPS = "source_groups"  # kept beside them, so that learning can part them


def encoder_entry(encoder: AudioEncoder) -> dict:
    """Return what the index says of an encoder.

    Its sha256 is that of the network's files. Raises InputError where it cannot be loaded.
    """
    from mmat.pretrained.hub import network_sha256

    return {
        "name": encoder.name,
        "handle": encoder.handle,
        "sha256": network_sha256(encoder.handle),
        "embedding_size": encoder.embedding_size,
        "n_labels": encoder.n_labels,
        "hop_samples": encoder.hop_samples,
        "window_samples": encoder.window_samples,
        "embedding_output": encoder.embedding_output,
        "scores_output": encoder.scores_output,
    }


def kept_encoder(index: dict) -> AudioEncoder | None:
    """Return the record of the encoder whose outputs the shards of an index hold, if they do."""
    entry = index.get(ENCODER)
    if entry is None:
        return None
    encoder = AudioEncoder(
        name=entry["name"],
        handle=entry["handle"],
        embedding_size=entry["embedding_size"],
        hop_seconds=entry["hop_samples"] / SAMPLE_RATE_HZ,
        window_seconds=entry["window_samples"] / SAMPLE_RATE_HZ,
        embedding_output=entry["embedding_output"],
        scores_output=entry["scores_output"],
        n_labels=entry["n_labels"],
    )
    known = AUDIO_ENCODERS.get(encoder.name)
    return known if known == encoder else encoder


def frozen_shapes(index: dict) -> dict[str, tuple[int | None, int]]:
    """Return the shape of each frozen output of a clip in the shards of an index.

    The number of patches is None where clips have lengths of their own.
    """
    shapes = {}
    encoder, seconds = kept_encoder(index), index["clip_seconds"]
    if encoder is not None:
        n_patches = None
        if seconds is not None:
            n_patches = encoder.n_patches(round(seconds * SAMPLE_RATE_HZ))
        shapes["sound_embeddings"] = (n_patches, encoder.embedding_size)
        if encoder.n_labels:
            shapes["sound_scores"] = (n_patches, encoder.n_labels)
    if index.get(IMAGE_SIZE):
        shapes["image_embeddings"] = (index["n_frames"], index[IMAGE_SIZE])
    return shapes


def check_inputs(folder: str | os.PathLike, index: dict, inputs: Iterable[str]) -> None:
    """Raise InputError for an input that the shards do not hold, with the command that adds it."""
    held, encoder = frozen_shapes(index), index.get(ENCODER)
    for name in inputs:
        if name in held or name not in (*FROZEN_INPUTS, SOURCE_GROUPS):
            continue
        if name == "image_embeddings":
            how = "an image network that gives them, with --overwrite --audio-encoder NAME"
        elif encoder is None:
            how = "--audio-encoder NAME (such as yamnet), which adds them"
        elif name in ("n_patches", SOURCE_GROUPS):
            continue
        else:
            how = f"--audio-encoder NAME of one that has them; {encoder['name']} has none"
        raise InputError(
            f"{folder}: the shards hold no {name}; run the same mmat prepare command with {how}"
        )
