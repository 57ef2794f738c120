"""Taggers that start from the names of their labels: learnt, untrained, and one sense of them."""

import argparse
import pathlib
from dataclasses import replace

import keras

from experiments.options import SYSTEMS
from mmat.files import InputError
from mmat.labels import MULTI_LABEL
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.names import zero_shot_bundle
from mmat.shards.corpus import Corpus
from mmat.training.learn import learn

# What the audio branch does not read of a tagger's inputs; the video branch reads them all, since
# its frame scores last as long as the sound.
OF_PICTURES = ("image_probabilities", "image_embeddings", "has_video")


def learn_from_names(arguments: argparse.Namespace, corpus: Corpus) -> dict[str, Bundle]:
    """Learn a tagger that starts from the names of its labels, and save the systems asked for.

    `fused` is the whole tagger; `audio` and `video` are its branches, at the same threshold. Raises
    InputError as `mmat.training.learn.learn` does, and for a branch that the shards do not allow.
    """
    learnt = learn(corpus, progress=True)
    for sense, chosen in learnt.chosen.items():
        print(f"{sense}: ridges {chosen}")
    model = learnt.bundle.model
    senses = [name for name in ("audio", "video") if name in model.output]
    possible = tuple(name for name in SYSTEMS if name in senses or len(senses) == 2)
    missing = [name for name in arguments.systems or () if name not in possible]
    if missing:
        raise InputError(
            f"{corpus.folder}: holds no frozen outputs for {missing[0]}; prepare the clips with "
            "--audio-encoder and --image-model"
        )
    saved = {}
    for name in arguments.systems or possible:
        own = sense_alone(model, name) if name in senses else model
        saved[name] = replace(learnt.bundle, model=own)
        save_bundle(pathlib.Path(arguments.out, name), saved[name])
    return saved


def untrained_tagger(corpus: Corpus, with_pictures: bool) -> Bundle | None:
    """What can be had without training: the tagger that goes by the labels' names.

    None, and said why, where there is none: for other tasks than several labels a clip, for clips
    with lengths of their own, and where its networks were not fetched.
    """
    if corpus.task != MULTI_LABEL or corpus.ragged:
        return None
    network = {"image_network": corpus.network.name} if corpus.network and with_pictures else {}
    try:
        bundle = zero_shot_bundle(corpus.labels, **network)
    except InputError as error:
        print(f"untrained: not measured: {error}")
        return None
    return bundle if network else replace(bundle, model=sense_alone(bundle.model, "audio"))


def sense_alone(model: keras.Model, sense: str) -> keras.Model:
    """Return the model of one sense of a tagger that starts from names."""
    output = model.output
    outputs = {"clip": output[sense], "frame": output.get(f"{sense}_frame", output["frame"])}
    unread = OF_PICTURES if sense == "audio" else ()
    inputs = {key: x for key, x in model.input.items() if key not in unread}
    return keras.Model(inputs, outputs, name=sense)
