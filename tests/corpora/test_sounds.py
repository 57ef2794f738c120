"""The everyday sounds: real ones, enough groups of every label, and nothing in two splits."""

import hashlib
import itertools

import numpy as np
import pytest
import soxr

from mmat.cli import main
from mmat.corpora.sounds import fetch_sounds, read_sounds, sounds_folder, sounds_labels
from mmat.corpora.sources import read_sources
from mmat.files import data_list
from mmat.labels import LabelSet
from mmat.media.read import read_media
from tests.corpora.copies import Recording, copies_across_groups, likeness

ALIKE = 0.8


@pytest.fixture(scope="module")
def sounds():
    """The folder of the recordings, fetched where they are absent."""
    return fetch_sounds(progress=False)


@pytest.fixture(scope="module")
def sources():
    return read_sources(data_list("sounds", "sources.csv"))


def groups_of(sources, label, *splits):
    chosen = [each for each in sources if each.label == label and each.split in splits]
    return {each.source_group for each in chosen}


def test_every_label_has_four_groups_in_test_and_two_in_train(sources):
    assert {source.label for source in sources} == set(sounds_labels().names)
    for label in sounds_labels().names:
        assert len(groups_of(sources, label, "test")) >= 4
        assert len(groups_of(sources, label, "train")) >= 2
        assert len(groups_of(sources, label, "train", "validation", "test")) >= 6


def test_a_group_is_in_one_split(sources):
    for split, other in itertools.permutations(("train", "validation", "test"), 2):
        of_split, of_other = (
            {source.source_group for source in sources if source.split == each}
            for each in (split, other)
        )
        assert not of_split & of_other


def test_no_recording_is_there_twice(sources):
    assert len({source.sha256 for source in sources}) == len(sources)
    assert len({source.id for source in sources}) == len(sources)
    assert all(source.license and source.credit for source in sources)


def test_the_packages_kept_for_checks_are_left_alone(sources):
    kept = ("supertuxkart", "torcs", "simutrans", "micropolis", "dustracing2d")
    assert not [source for source in sources if source.package.startswith(kept)]


def test_the_real_recordings_are_listed_whole_and_can_be_read(sounds, sources):
    clips = read_sounds()
    assert sounds == sounds_folder()
    assert LabelSet.from_csv(sounds / "labels.csv") == sounds_labels()
    for clip, source in zip(clips, sources, strict=True):
        assert (clip.id, clip.labels, clip.split) == (source.id, (source.label,), source.split)
        assert clip.source_group == source.source_group
        content = (sounds / clip.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == source.sha256
        waveform = read_media(sounds / clip.file).waveform
        assert 0.15 * 16000 < len(waveform) < 60 * 16000 and np.abs(waveform).max() > 0.01


def test_groups_of_a_label_share_no_recording(sounds):
    assert list(copies_across_groups(read_sounds(), sounds, ALIKE)) == []


def test_edits_of_a_recording_are_found_out(sounds):
    """Cut, softer, resampled and with faint hiss; most are recognised."""
    rng = np.random.default_rng(0)
    scores = []
    for clip in read_sounds()[::5]:
        original = read_media(sounds / clip.file).waveform
        cut = original[len(original) // 20 :]
        low = soxr.resample(soxr.resample(cut, 16000, 14000), 14000, 16000)
        edit = 0.4 * low + rng.normal(0, 0.002 * np.abs(cut).max(), len(low))
        scores.append(likeness(Recording(original), Recording(edit)))
    assert np.mean(np.array(scores) > ALIKE) > 0.8


def test_the_command_without_apt_names_the_packages(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["fetch", "sounds"]) == 2
    printed = capsys.readouterr()
    assert "scorched3d-data" in printed.err and printed.err.count("\n") == 1
    assert main(["fetch", "sounds", "--dry-run"]) == 0
    assert "size unknown" not in capsys.readouterr().out
