"""Which systems a command line can train on a corpus; trainings themselves are the scripts'."""

import dataclasses

import pytest

from experiments.options import training_parser
from experiments.training import possible_systems
from mmat.files import InputError
from mmat.labels import MULTI_CLASS, LabelSet
from mmat.shards.corpus import Corpus

MOODS = LabelSet(("Angry", "Calm", "Sad"), task=MULTI_CLASS)


def test_video_alone_of_clips_with_lengths_of_their_own_is_refused(tmp_path):
    index = {"clip_seconds": None, "image_network": "efficientnet_lite0"}
    corpus = Corpus(tmp_path, index, MOODS, None)
    arguments = training_parser("Train.", "out", recipe=None).parse_args([])
    assert possible_systems(arguments, corpus) == ("audio", "fused")
    arguments.systems = ("audio", "video")
    with pytest.raises(InputError, match="lengths of their own, which only sound tells"):
        possible_systems(arguments, corpus)
    fixed = dataclasses.replace(corpus, index=index | {"clip_seconds": 1.0})
    assert possible_systems(arguments, fixed) == ("audio", "video")


@pytest.mark.parametrize("words", [["--net", "talnet"], ["--audio-encoder", "yamnet"]])
def test_the_front_end_for_speech_is_the_crnns_alone(words, tmp_path):
    corpus = Corpus(tmp_path, {"clip_seconds": 1.0}, MOODS, None)
    arguments = training_parser("Train.", "out", recipe=None).parse_args(
        ["--mel", "speech", *words]
    )
    with pytest.raises(InputError, match="--mel speech: it is for --net crnn"):
        possible_systems(arguments, corpus)
