"""The drum hits: real ones, every instrument in every split, and no kit in two."""

import collections
import dataclasses
import hashlib

import pytest
import soundfile

from mmat.cli import main
from mmat.corpora.drums import drums_folder, drums_labels, fetch_drums, read_drums
from mmat.corpora.sources import read_sources
from mmat.files import data_list
from mmat.labels import LabelSet
from tests.corpora.copies import copies_across_groups

SPLITS = {"train", "validation", "test"}
ALIKE = 0.95  # toms and kicks of one pitch reach 0.92, copies 0.98


@pytest.fixture(scope="module")
def drums():
    """The folder of the drum hits, fetched where they are absent."""
    return fetch_drums(progress=False)


@pytest.fixture(scope="module")
def sources():
    return read_sources(data_list("drums", "sources.csv"))


def values_by(sources, key, value):
    found = collections.defaultdict(set)
    for source in sources:
        found[getattr(source, key)].add(getattr(source, value))
    return found


def test_every_instrument_is_in_every_split(sources):
    splits = values_by(sources, "label", "split")
    assert list(splits.values()) == [SPLITS] * 10
    assert set(splits) == set(drums_labels().names)
    for part in ("train", "test"):
        of_part = [source for source in sources if source.split == part]
        assert all(len(kits) >= 2 for kits in values_by(of_part, "label", "source_group").values())


def test_a_kit_is_in_one_split_and_a_group_names_kits(sources):
    assert all(len(splits) == 1 for splits in values_by(sources, "source_group", "split").values())
    kits = [dataclasses.replace(s, member=s.member.rpartition("/")[0]) for s in sources]
    found = values_by(kits, "member", "source_group")
    assert len(found) == 15 and all(len(groups) == 1 for groups in found.values())


def test_no_hit_is_there_twice(sources):
    assert len({source.sha256 for source in sources}) == len(sources)
    assert len({source.id for source in sources}) == len(sources)
    assert all(source.license and source.credit for source in sources)


def test_the_real_hits_are_listed_and_whole(drums, sources):
    clips = read_drums()
    assert drums == drums_folder()
    assert LabelSet.from_csv(drums / "labels.csv") == drums_labels()
    assert {drums / clip.file for clip in clips} <= set((drums / "recording").iterdir())
    for clip, source in zip(clips, sources, strict=True):
        assert (clip.id, clip.labels, clip.split) == (source.id, (source.label,), source.split)
        assert clip.source_group == source.source_group
        content = (drums / clip.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == source.sha256
        found = soundfile.info(drums / clip.file)
        assert 0.03 < found.duration < 13 and found.samplerate >= 22050


def test_kits_of_different_groups_share_no_recording(drums):
    assert list(copies_across_groups(read_drums(), drums, ALIKE)) == []


def test_the_command_without_apt_names_the_packages(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["fetch", "drums"]) == 2
    printed = capsys.readouterr()
    assert "hydrogen-drumkits" in printed.err and "put their .deb files into" in printed.err
    assert printed.err.count("\n") == 1 and not (tmp_path / "cache" / "drums").exists()
    assert main(["fetch", "drums", "--dry-run", "--debs", str(tmp_path)]) == 0
    assert f"about 150 MB to download into {tmp_path}" in capsys.readouterr().out
