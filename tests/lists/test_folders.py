"""A folder of folders as a clip list."""

import os
import pathlib

import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.folders import read_folder

SUFFIXES = {".wav", ".mp4"}


def made(top: pathlib.Path, *paths: str, **contents: str) -> pathlib.Path:
    """Make files; those that `contents` does not name hold their own path."""
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(contents.get(path.replace("/", "_").replace(".", "_"), path))
    return top


def read(top, *arguments):
    return read_folder(top, SUFFIXES, *arguments)


def test_names_of_folders_are_labels_and_files_may_lie_deep(tmp_path):
    made(tmp_path, "train_horn/a.wav", "Dog/x/y/b.MP4", "Dog/c.wav")
    found = read(tmp_path)
    assert found.labels.names == ("Dog", "train_horn")
    assert {clip.file: clip.labels for clip in found.clips} == {
        "Dog/c.wav": ("Dog",),
        "Dog/x/y/b.MP4": ("Dog",),
        "train_horn/a.wav": ("train_horn",),
    }
    assert {clip.split for clip in found.clips} == {"train"}
    assert [clip.id for clip in found.clips] == [clip.file for clip in found.clips]


@pytest.mark.parametrize("name", ["_noise", "background", "BackGround", "_Noise"])
def test_in_noise_no_label_sounds(name, tmp_path):
    found = read(made(tmp_path, f"{name}/a.wav", "Dog/b.wav"))
    assert found.labels.names == ("Dog",)
    assert {clip.file: clip.labels for clip in found.clips}[f"{name}/a.wav"] == ()


def test_noise_without_underscore_is_a_label(tmp_path):
    assert read(made(tmp_path, "noise/a.wav")).labels.names == ("noise",)


def test_source_groups(tmp_path):
    segment = "Y-5QrBL6MzLg_60.000_70.000.wav"
    made(tmp_path, "Dog/recorder7/day 2/a.wav", "Cat/recorder7/b.wav", "Dog/c.wav")
    made(tmp_path, f"Dog/{segment}", f"Cat/recorder8/{segment}")
    groups = {clip.file: clip.source_groups for clip in read(tmp_path).clips}
    assert groups == {
        "Dog/recorder7/day 2/a.wav": ("recorder7",),
        "Cat/recorder7/b.wav": ("recorder7",),
        "Dog/c.wav": ("Dog/c.wav",),
        f"Dog/{segment}": ("-5QrBL6MzLg",),
        f"Cat/recorder8/{segment}": ("recorder8", "-5QrBL6MzLg"),
    }


def test_one_file_in_two_labels_is_one_clip_with_both(tmp_path):
    same = {"Dog_a_wav": "sound", "Cat_a_wav": "sound"}
    made(tmp_path, "Dog/a.wav", "Cat/a.wav", "Dog/b.wav", "Cat/b.wav", **same)
    found = [(clip.file, clip.labels) for clip in read(tmp_path).clips]
    assert sorted(found) == [
        ("Cat/a.wav", ("Cat", "Dog")),
        ("Cat/b.wav", ("Cat",)),
        ("Dog/b.wav", ("Dog",)),
    ]


def test_of_equal_files_of_a_label_one_counts(tmp_path):
    same = {"Dog_a_wav": "sound", "Dog_x_b_wav": "sound"}
    found = read(made(tmp_path, "Dog/a.wav", "Dog/x/b.wav", "Dog/c.wav", **same))
    assert [clip.file for clip in found.clips] == ["Dog/a.wav", "Dog/c.wav"]
    assert found.copies == ("Dog/x/b.wav",)


def test_what_is_no_media_is_left_out_and_what_is_hidden_ignored(tmp_path):
    made(tmp_path, "Dog/a.wav", "Dog/notes.txt", "readme.md", "Dog/.b.wav", ".git/c.wav")
    made(tmp_path, "Dog/.cache/d.wav", "Dog/e\tf.wav")
    found = read(tmp_path)
    assert [clip.file for clip in found.clips] == ["Dog/a.wav"]
    assert sorted(found.left_out) == ["Dog/e\tf.wav", "Dog/notes.txt", "readme.md"]


def test_a_name_that_is_no_text_is_left_out(tmp_path):
    made(tmp_path, "Dog/a.wav")
    with open(os.fsencode(tmp_path / "Dog") + b"/\xff.wav", "w"):
        pass
    assert [clip.file for clip in read(tmp_path).clips] == ["Dog/a.wav"]


def test_given_labels_and_split(tmp_path):
    labels = LabelSet.of(["Owl", "Dog"])
    found = read(made(tmp_path, "Dog/a.wav"), labels, "test")
    assert (found.labels, found.clips[0].split) == (labels, "test")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "the folder is empty; give a folder for each label"),
        ([".hidden/a.wav"], "the folder is empty"),
        (["a.wav"], "holds files, but no folder of a label"),
        (["Dog/a.wav", "Cat/notes.txt"], r"Cat: no sound and no video in this label's folder"),
        (["_noise/a.wav"], "every clip is without a label"),
        (["Dog\n/a.wav"], "cannot be a label; rename it"),
    ],
)
def test_what_cannot_be_read(paths, message, tmp_path):
    with pytest.raises(InputError, match=message) as raised:
        read(made(tmp_path, *paths))
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="none: cannot read the folder: No such file"):
        read(tmp_path / "none")


def test_an_unknown_label(tmp_path):
    with pytest.raises(InputError, match="Cat: unknown label 'Cat'; rename the folder"):
        read(made(tmp_path, "Cat/a.wav"), LabelSet.of(["Dog"]))


def test_a_clip_cannot_both_have_a_label_and_none(tmp_path):
    same = {"Dog_a_wav": "sound", "_noise_a_wav": "sound"}
    with pytest.raises(InputError, match=r"_noise/a.wav: lies in Dog too; remove one of them"):
        read(made(tmp_path, "Dog/a.wav", "_noise/a.wav", **same))


def test_links_back_to_the_top_end(tmp_path):
    made(tmp_path, "Dog/a.wav")
    (tmp_path / "Dog" / "again").symlink_to(tmp_path)
    assert [clip.file for clip in read(tmp_path).clips] == ["Dog/a.wav"]


def test_a_folder_named_as_macs_spell_it_is_the_label_of_the_set(tmp_path):
    made(tmp_path, "Cafe\u0301/a.wav")
    assert read(tmp_path).labels.names == ("Caf\u00e9",)
    (clip,) = read(tmp_path, LabelSet.of(["Caf\u00e9"])).clips
    assert (clip.file, clip.labels) == ("Cafe\u0301/a.wav", ("Caf\u00e9",))


def test_folders_that_look_alike_are_warned_of(tmp_path):
    made(tmp_path, "Dog/a.wav", "D\N{CYRILLIC SMALL LETTER O}g/b.wav")
    with pytest.warns(UserWarning, match=r"the labels 'Dog' and 'D\\u043eg' look alike"):
        assert len(read(tmp_path).labels) == 2
