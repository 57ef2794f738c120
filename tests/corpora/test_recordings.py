"""Corpora of single recordings, with a list and packages that are made here."""

import hashlib

import pytest

from mmat.corpora import recordings as module
from mmat.corpora.recordings import fetch_recordings, read_recordings, recordings_labels
from mmat.corpora.sources import COLUMNS
from mmat.files import InputError
from mmat.lists.read import read_list
from tests.corpora.archives import make_deb, make_wav

DOG, RAIN, BOTH = make_wav(b"woof"), make_wav(b"shhh"), make_wav(b"woofshhh")
FILES = {"usr/dog.WAV": DOG, "usr/rain 1.flac": RAIN, "usr/both.wav": BOTH}
LABELS = {"usr/dog.WAV": "Dog", "usr/rain 1.flac": "Rain", "usr/both.wav": "Dog;Rain"}


@pytest.fixture
def debs(tmp_path):
    """A folder with the package."""
    (tmp_path / "debs").mkdir()
    (tmp_path / "debs" / "weather_1-1_all.deb").write_bytes(make_deb(FILES))
    return tmp_path / "debs"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Writes the list of a corpus, and returns its name."""

    def corpus(**changed):
        rows = [
            {
                "kind": "recording",
                "id": f"clip-{i}",
                "label": LABELS[member],
                "split": "train" if i else "test",
                "source_group": f"author-{i}",
                "package": "weather",
                "version": "1-1",
                "member": member,
                "sha256": hashlib.sha256(content).hexdigest(),
                "license": "CC0-1.0",
                "credit": "Zoë",
            }
            | changed
            for i, (member, content) in enumerate(FILES.items())
        ]
        lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
        folder = tmp_path / "lists" / "made"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sources.csv").write_text("\n".join(lines), encoding="utf-8")
        (folder / "labels.csv").write_text("index,mid,display_name\n0,,Dog\n1,,Rain\n")
        monkeypatch.setattr(module, "data_list", (tmp_path / "lists").joinpath)
        return "made"

    return corpus


def test_recordings_list_and_labels(corpus, debs, tmp_path):
    name = corpus()
    folder = fetch_recordings(name, tmp_path / "cache", deb_folder=debs, progress=False)
    assert folder == tmp_path / "cache" / "made"
    clips = read_recordings(name, tmp_path / "cache")
    assert [(clip.id, clip.file, clip.labels, clip.split) for clip in clips] == [
        ("clip-0", "recording/clip-0.wav", ("Dog",), "test"),
        ("clip-1", "recording/clip-1.flac", ("Rain",), "train"),
        ("clip-2", "recording/clip-2.wav", ("Dog", "Rain"), "train"),
    ]
    assert [clip.source_group for clip in clips] == ["author-0", "author-1", "author-2"]
    assert [(folder / clip.file).read_bytes() for clip in clips] == [DOG, RAIN, BOTH]
    assert read_list(folder / "clips.csv", strict=True).labels == recordings_labels(name)
    assert list(debs.iterdir())  # a folder of the user's own stays


def test_packages_of_its_own_are_removed_when_all_is_there(corpus, debs, tmp_path):
    own = tmp_path / "cache" / "made" / "debs"
    own.parent.mkdir(parents=True)
    debs.rename(own)
    name = corpus(sha256="0" * 64)
    with pytest.raises(InputError, match="its sha256 is"):
        fetch_recordings(name, tmp_path / "cache", progress=False)
    with pytest.raises(InputError, match="no recordings there; run `mmat fetch made`"):
        read_recordings(name, tmp_path / "cache")
    assert own.exists()
    folder = fetch_recordings(corpus(), tmp_path / "cache", progress=False)
    assert sorted(path.name for path in folder.iterdir()) == [
        "clips.csv",
        "labels.csv",
        "recording",
    ]
    made = {path: path.stat().st_mtime_ns for path in (folder / "recording").iterdir()}
    fetch_recordings(name, tmp_path / "cache", progress=False)  # nothing is needed any more
    assert made == {path: path.stat().st_mtime_ns for path in (folder / "recording").iterdir()}


def test_a_dry_run_writes_nothing(corpus, tmp_path, capsys):
    fetch_recordings(corpus(), tmp_path / "cache", dry_run=True)
    assert "3 files to extract into" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
