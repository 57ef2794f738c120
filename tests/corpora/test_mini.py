import dataclasses

import pytest

from mmat.corpora.mini import (
    CLIPS_A_SPLIT,
    fetch_and_compose,
    mini_folder,
    mini_groups,
    mini_labels,
    mini_sounds,
    mini_source_groups,
    read_mini,
)
from mmat.corpora.render import render_clip
from mmat.corpora.sources import read_sources
from mmat.files import InputError, data_list
from mmat.lists.own import write_clip_list
from mmat.media.read import read_media

FEW = {"train": 2, "validation": 1, "test": 1}


@pytest.fixture
def cache(mini_sources, tmp_path):
    """A cache that holds the fetched sources and nothing else."""
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "sources").symlink_to(mini_sources)
    return tmp_path


def test_few_clips_are_composed_listed_and_kept(cache):
    folder = fetch_and_compose(cache, progress=False, clips_a_split=FEW)
    clips = read_mini(cache)
    assert [clip.split for clip in clips] == ["train", "train", "validation", "test"]
    for clip in clips:
        media = read_media(folder / clip.file)
        assert media.duration_seconds == pytest.approx(10.0, abs=0.3)
        assert set(clip.labels) == {event.label for event in clip.events}
        assert set(clip.labels) <= set(mini_labels().names)
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}
    fetch_and_compose(cache, progress=False, clips_a_split=FEW)
    assert made == {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}


def test_an_interrupted_composition_goes_on_where_it_stopped(cache, monkeypatch):
    from mmat.corpora import mini

    whole, rendered = render_clip, []

    def render_then_stop(plan, media, path):
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append(plan.id)
        return whole(plan, media, path)

    monkeypatch.setattr(mini, "WORKERS", 1)
    monkeypatch.setattr(mini, "render_clip", render_then_stop)
    with pytest.raises(KeyboardInterrupt):
        fetch_and_compose(cache, progress=False, clips_a_split=FEW)
    with pytest.raises(InputError, match="run `mmat fetch mini`"):
        read_mini(cache)
    (part,) = (cache / "mini").glob("clips-*")
    kept = {path.name: path.stat().st_mtime_ns for path in part.rglob("*.mp4")}
    assert len(kept) == 2
    monkeypatch.setattr(mini, "render_clip", whole)
    folder = fetch_and_compose(cache, progress=False, clips_a_split=FEW)
    for path in folder.rglob("*.mp4"):
        assert path.stat().st_mtime_ns == kept.get(path.name, path.stat().st_mtime_ns)
    assert len(read_mini(cache)) == 4 and not part.exists()


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    folder = fetch_and_compose(tmp_path, dry_run=True)
    assert folder == mini_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "950 clips" in capsys.readouterr().out


def test_every_clip_has_the_group_of_a_recording_of_its_own_split():
    groups = mini_groups()
    assert len(groups) == sum(CLIPS_A_SPLIT.values())
    of_split = {
        split: {group for clip, group in groups.items() if clip.startswith(f"{split}-")}
        for split in CLIPS_A_SPLIT
    }
    assert not of_split["train"] & of_split["test"]
    assert not of_split["validation"] & of_split["test"]
    labels = {clip.id: clip.labels for clip in read_mini()}
    dogs = [labels[clip] for clip, group in groups.items() if group.startswith("dog/")]
    assert dogs and all("Dog" in own for own in dogs)


def test_all_groups_of_a_clip_are_those_of_what_it_holds():
    sources = read_sources(data_list("mini", "sources.csv"))
    kinds = {source.source_group: source.kind for source in sources}
    labels = {source.source_group: source.label for source in sources}
    splits = {source.source_group: source.split for source in sources}
    groups, first = mini_source_groups(), mini_groups()
    assert list(groups) == list(first)
    clips = {clip.id: clip for clip in read_mini()}
    for name, own in groups.items():
        assert own[0] == first[name]
        heard = [group for group in own if kinds[group] == "recording"]
        assert {labels[group] for group in heard} == set(clips[name].labels)
        assert {kinds[group] for group in own} <= {"recording", "photograph"}
        assert {splits[group] for group in own} == {clips[name].split}
    assert any(len(own) >= 4 for own in groups.values())


def test_a_clip_is_composed_of_recordings_of_its_labels_and_split():
    sources = {source.id: source for source in read_sources(data_list("mini", "sources.csv"))}
    groups = mini_source_groups()
    for name, sounds in mini_sounds().items():
        used = [sources[sound.recording] for sound in sounds]
        assert [source.label for source in used] == [sound.label for sound in sounds]
        assert {source.source_group for source in used} <= set(groups[name])
        assert {source.split for source in used} == {name.split("-")[0]}


def test_the_list_of_clips_holds_their_groups(cache):
    folder = fetch_and_compose(cache, progress=False, clips_a_split=FEW)
    written = (folder / "clips.csv").read_bytes()
    first = mini_groups()
    for clip in read_mini(cache):
        assert clip.source_group.split(";")[0] == first[clip.id]
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    # As caches are that were made before.
    without = [dataclasses.replace(clip, source_group="", events=()) for clip in read_mini(cache)]
    write_clip_list(folder / "clips.csv", without)
    fetch_and_compose(cache, dry_run=True, clips_a_split=FEW)
    assert not any(clip.source_group for clip in read_mini(cache))
    fetch_and_compose(cache, progress=False, clips_a_split=FEW)
    assert (folder / "clips.csv").read_bytes() == written
    del made[folder / "clips.csv"]
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())
