"""Where the clips of a training are prepared: once for each choice of them."""

import os

import pytest

from mmat.files import InputError
from mmat.shards.read import read_arrays
from mmat.training.own_clips import read_source
from mmat.training.own_shards import Settings, in_pieces, prepared
from mmat.training.scratch import CLIP_SECONDS
from tests.training.made_sounds import NOISE, TONE, tone, write_sound, write_sounds


def from_scratch(cache, **changes) -> Settings:
    """Settings without a pretrained network."""
    options = {"image_network": "none", "audio_encoder": "none", "workers": 0, "scratch": True}
    return Settings.of(**options | changes, cache=cache, progress=False)


def test_from_scratch_no_network_is_asked_and_clips_are_of_one_length(tmp_path):
    settings = from_scratch(tmp_path, workers=None)
    assert (settings.image_network, settings.audio_encoder) == (None, None)
    assert settings.clip_seconds == CLIP_SECONDS
    assert settings.workers == len(os.sched_getaffinity(0))
    with pytest.raises(InputError, match="image network 'none': unknown"):
        from_scratch(tmp_path, scratch=False)


def test_each_choice_of_clips_is_prepared_once(tmp_path):
    source, settings = write_sounds(tmp_path / "sounds", range(2), 0.5), from_scratch(tmp_path)
    shards = prepared(read_source(source, None, None), settings)
    assert shards.parent == tmp_path / "train"
    before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    assert prepared(read_source(source, None, None), settings) == shards
    assert {path: path.stat().st_mtime_ns for path in shards.iterdir()} == before
    write_sounds(source, range(2, 3), 0.5)
    assert prepared(read_source(source, None, None), settings) != shards


def test_long_files_are_pieces_with_the_labels_of_the_whole(tmp_path):
    write_sound(tmp_path / "sounds" / TONE / "long.wav", tone(70.0))
    write_sound(tmp_path / "sounds" / NOISE / "short.wav", tone(14.0))
    own = read_source(tmp_path / "sounds", None, None)
    for settings, ends in (
        (from_scratch(tmp_path), [*(10.0 * i for i in range(1, 7)), None]),
        (Settings.of(None, "yamnet", 0, False, tmp_path, False), [30.0, None]),
    ):
        *pieces, short = sorted(in_pieces(own, settings).clips, key=lambda clip: clip.file)
        assert [clip.end_seconds for clip in pieces] == ends
        assert {clip.labels for clip in pieces} == {(TONE,)} and short.end_seconds is None


def test_what_cannot_be_read_is_a_warning_and_the_rest_is_there(tmp_path):
    write_sounds(tmp_path / "sounds", range(2), 0.5)
    (tmp_path / "sounds" / TONE / "broken.wav").write_text("no sound")
    own = read_source(tmp_path / "sounds", None, None)
    with pytest.warns(UserWarning, match=r"1 clips cannot be read, see .*failures\.csv"):
        shards = prepared(own, from_scratch(tmp_path))
    assert len(read_arrays(shards, "train")["ids"]) == 6
