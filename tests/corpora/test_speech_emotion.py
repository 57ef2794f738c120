import hashlib
import io
import os
import zipfile

import pytest
import soundfile

from mmat.cli import main
from mmat.corpora import speech_emotion as module
from mmat.corpora.speech_emotion import (
    NOTICE,
    fetch_speech_emotion,
    read_speech_emotion,
    speech_emotion_folder,
    speech_emotion_labels,
)
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.read import read_list
from tests.corpora.archives import make_source_archive, make_wav

PROJECT = "small-words"
EMOTIONS = {"a": "anger", "s": "fear", "n": "neutral"}
SPEAKERS = {"train": ["m2", "m3"], "dev": ["m4"], "test": ["m1"]}
WAV = make_wav(bytes(100))
HEADER = "file,speaker,gender,emotion,language\n"


def packed(recordings):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in recordings.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def made_members():
    """The members of the archive, as the real one has them, with a recording an emotion."""
    recordings, members = {"POLISH/readme.md": b"CC BY"}, {}
    for part, speakers in SPEAKERS.items():
        rows = [
            (f"POLISH/{speaker}.{letter}_nie_1.wav", f"POLISH_{speaker},male,{emotion},polish")
            for speaker in speakers
            for letter, emotion in EMOTIONS.items()
        ]
        recordings |= {file: WAV for file, _ in rows}
        text = HEADER + "".join(f"{file},{rest}\n" for file, rest in rows)
        members[f"data/polish/polish_{part}.csv"] = text.encode()
    return members | {"data/polish/polish_speech_emotions.zip": packed(recordings)}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder that pip takes archives from, instead of an index."""
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shop"))
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
def stock(shop, tmp_path):
    """Puts an archive of these members into the shop, and returns the list that names it."""

    def stock(members):
        content = make_source_archive(members, PROJECT)
        (shop / f"{PROJECT}-1.0.tar.gz").write_bytes(content)
        sums = {"": hashlib.sha256(content).hexdigest()}
        sums |= {name: hashlib.sha256(each).hexdigest() for name, each in members.items()}
        rows = [f"{PROJECT},1.0,{name},{sha256}" for name, sha256 in sums.items()]
        path = tmp_path / "sources.csv"
        path.write_text("\n".join(["project,version,member,sha256", *rows]))
        return path

    return stock


def fetch(tmp_path, sources, **kwargs):
    return fetch_speech_emotion(tmp_path / "cache", progress=False, sources=sources, **kwargs)


def left_behind(tmp_path):
    cache = tmp_path / "cache"
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_recordings_list_and_labels(stock, tmp_path):
    folder = fetch(tmp_path, stock(made_members()))
    assert folder == speech_emotion_folder(tmp_path / "cache")
    clips = read_speech_emotion(tmp_path / "cache")
    assert {(clip.source_group, clip.split) for clip in clips} == {
        ("m2", "train"),
        ("m3", "train"),
        ("m4", "validation"),
        ("m1", "test"),
    }
    assert clips[0].id == "m2.a_nie_1"
    for clip in clips:
        letter = clip.id.split(".")[1][0]
        assert clip.labels == (EMOTIONS[letter],)
        assert (folder / clip.file).read_bytes() == WAV
    assert LabelSet.from_csv(folder / "labels.csv") == speech_emotion_labels()
    assert read_list(folder / "clips.csv").labels.names == speech_emotion_labels().names
    assert (folder / "POLISH" / "readme.md").read_text() == "CC BY"  # the licence travels along


def test_what_is_there_is_kept(stock, shop, tmp_path):
    sources = stock(made_members())
    folder = fetch(tmp_path, sources)
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    (shop / f"{PROJECT}-1.0.tar.gz").unlink()
    assert fetch(tmp_path, sources) == folder
    assert made == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_another_archive_replaces_the_old_one(stock, tmp_path):
    fetch(tmp_path, stock(made_members()))
    rows = (HEADER + "POLISH/m9.a_tak_1.wav,POLISH_m9,male,anger,polish\n").encode()
    members = dict.fromkeys(made_members(), HEADER.encode()) | {
        "data/polish/polish_test.csv": rows,
        "data/polish/polish_speech_emotions.zip": packed({"POLISH/m9.a_tak_1.wav": WAV}),
    }
    folder = fetch(tmp_path, stock(members))
    assert [clip.source_group for clip in read_speech_emotion(tmp_path / "cache")] == ["m9"]
    assert [path.name for path in (folder / "POLISH").iterdir()] == ["m9.a_tak_1.wav"]
    assert left_behind(tmp_path) == ["speech-emotion"]


def test_stopped_while_unpacking_it_goes_on_with_what_was_downloaded(
    stock, shop, tmp_path, monkeypatch
):
    sources = stock(made_members())
    (tmp_path / "cache").mkdir()
    downloaded = tmp_path / "cache" / f"{PROJECT}-1.0.tar.gz"
    os.replace(shop / downloaded.name, downloaded)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "write_clip_list", stop)
        fetch(tmp_path, sources)
    assert left_behind(tmp_path) == [downloaded.name]
    with pytest.raises(InputError, match="run `mmat fetch speech-emotion`"):
        read_speech_emotion(tmp_path / "cache")
    fetch(tmp_path, sources)
    assert left_behind(tmp_path) == ["speech-emotion"]
    assert len(read_speech_emotion(tmp_path / "cache")) == 12


def test_a_dry_run_asks_nobody_and_writes_nothing(stock, shop, tmp_path, capsys):
    sources = stock(made_members())
    (shop / f"{PROJECT}-1.0.tar.gz").unlink()
    folder = fetch(tmp_path, sources, dry_run=True)
    assert f"small-words==1.0 (source archive, 38 MB) and unpack into {folder}" in (
        capsys.readouterr().out
    )
    assert left_behind(tmp_path) == []


def recordings_of(names):
    return {"data/polish/polish_speech_emotions.zip": packed(dict.fromkeys(names, WAV))}


def listed(file, emotion="anger"):
    row = f"{file},POLISH_m1,male,{emotion},polish\n"
    return {"data/polish/polish_test.csv": (HEADER + row).encode()}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (recordings_of(["../outside.wav"]), "'../outside.wav' leads out of the folder; refused"),
        (recordings_of(["/tmp/outside.wav"]), "'/tmp/outside.wav' leads out of the folder"),
        (recordings_of([]), "POLISH/m2.a_nie_1.wav: listed, but not in it"),
        ({"data/polish/polish_speech_emotions.zip": b"PK"}, "cannot be read as zip file"),
        (listed("../../shop/small-words-1.0.tar.gz"), "leaves the media folder"),
        (listed("POLISH/m1.a_nie_1.wav", "joy"), "unknown label 'joy'"),
    ],
)
def test_hostile_members(changed, reason, stock, tmp_path):
    sources = stock(made_members() | changed)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=reason) as caught:
        fetch(tmp_path, sources)
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == []
    assert sorted({path.name for path in tmp_path.iterdir()} - {"cache"}) == before


def test_the_command_without_a_place_to_take_it_from(shop, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    assert main(["fetch", "speech-emotion"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("mmat: error: nkululeko==1.14.1: found no source archive of it: ")
    assert (printed.err.count("\n"), printed.out) == (1, "")
    assert left_behind(tmp_path) == []


def test_the_command_says_what_the_data_are_for(speech_emotion, capsys):
    assert main(["fetch", "speech-emotion"]) == 0
    assert capsys.readouterr().out == f"speech-emotion: {speech_emotion}\n{NOTICE}\n"


def test_the_real_recordings(speech_emotion):
    clips = read_speech_emotion()
    groups = [clip.source_group for clip in clips]
    assert {group: groups.count(group) for group in groups} == dict.fromkeys(
        ["m1", "m2", "m3", "m4", "m5"], 90
    )
    for group in set(groups):
        labels = [clip.labels for clip in clips if clip.source_group == group]
        assert {each: labels.count(each) for each in labels} == {
            (name,): 30 for name in speech_emotion_labels().names
        }
    splits = {(clip.split, clip.source_group) for clip in clips}
    assert splits == {
        ("train", "m2"),
        ("train", "m3"),
        ("train", "m5"),
        ("validation", "m4"),
        ("test", "m1"),
    }
    files = {speech_emotion / clip.file for clip in clips}
    assert files == set(speech_emotion.rglob("*.wav"))
    by_content = {}
    for clip in clips:
        content = (speech_emotion / clip.file).read_bytes()
        by_content.setdefault(content, set()).add((clip.source_group, clip.labels))
    assert len(by_content) == 446  # four are there twice,
    assert all(len(each) == 1 for each in by_content.values())  # of one speaker and emotion
    for file in files:
        found = soundfile.info(file)
        assert (found.samplerate, found.channels) == (16000, 1)
        assert 0.4 < found.duration < 1.7
    assert "CC BY" in (speech_emotion / "POLISH" / "readme.md").read_text()
