"""What is read of folders and lists of own clips, what is left out, and how clips are parted."""

import warnings

import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.training.own_clips import TEST, parted, read_source, warn_of_labels_always_there
from tests.training.made_sounds import NOISE, NOTHING, TONE, silence, write_sound, write_sounds


def write_list(path, *rows):
    path.write_text("".join(f"{row}\n" for row in ("file,labels,split", *rows)))
    return path


def test_of_a_folder_other_files_and_copies_are_left_out(tmp_path):
    write_sounds(tmp_path, range(2), 0.5)
    (tmp_path / TONE / "copy.wav").write_bytes((tmp_path / TONE / "0.wav").read_bytes())
    (tmp_path / TONE / "notes.txt").write_text("recorded on Monday\n")
    with (
        pytest.warns(UserWarning, match=r"1 files are no sound .* \(1 \.txt\), .*: Sine wave/note"),
        pytest.warns(UserWarning, match="1 files hold what another .*; one counts: Sine wave/copy"),
    ):
        found = read_source(tmp_path, None, None)
    assert (found.media, found.labels.names) == (tmp_path, (TONE, NOISE))
    assert sorted(clip.file for clip in found.clips) == sorted(
        f"{label}/{i}.wav" for label in (TONE, NOISE, NOTHING) for i in range(2)
    )


def test_of_a_list_other_splits_are_left_out(tmp_path):
    rows = ["a.wav,Dog,train", "b.wav,Cat,validation", "c.wav,Dog,test", "d.wav,Cat,extra"]
    path = write_list(tmp_path / "list.csv", *rows)
    with pytest.warns(UserWarning, match="1 clips are of none of the splits .*, test: d$"):
        own = read_source(path, None, None)
    learnt_from, tested = parted(own, None, path, None)
    assert [clip.file for clip in learnt_from.clips] == ["a.wav", "b.wav"]
    assert [clip.file for clip in tested.clips] == ["c.wav"]
    (tmp_path / "elsewhere").mkdir()
    others = read_source(path, tmp_path / "elsewhere", own.labels, TEST)
    assert own.media == tmp_path and others.of([TEST]).media == tmp_path / "elsewhere"
    assert len(others.of([TEST]).clips) == len(others.clips) > 0
    with pytest.raises(InputError, match="nowhere: no such media folder"):
        read_source(path, tmp_path / "nowhere", own.labels)


def test_a_label_tools_paths_are_those_of_the_media_folder(tmp_path):
    (tmp_path / "rec" / "night").mkdir(parents=True)
    (tmp_path / "rec" / "night" / "1.wav").touch()
    row = "D:\\rec,night,1.wav,0.5,1.5,Owl\n"
    path = tmp_path / "cluster.csv"
    path.write_text("INDIR,FOLDER,IN FILE,OFFSET,DURATION,MANUAL ID\n" + row)
    for media, file in ((None, "rec/night/1.wav"), (tmp_path / "rec", "night/1.wav")):
        assert [clip.file for clip in read_source(path, media, None).clips] == [file]


def test_without_test_clips_nothing_is_measured_on(tmp_path):
    path = write_list(tmp_path / "list.csv", "a.wav,Dog,train")
    assert parted(read_source(path, None, None), None, path, None)[1] is None


def test_clips_to_measure_on_are_named_once_and_are_others(tmp_path):
    path = write_list(tmp_path / "list.csv", "a.wav,Dog,train", "b.wav,Dog,test")
    more = write_list(tmp_path / "more.csv", "b.wav,Dog,test", "./a.wav,Dog,test")
    own, other = (read_source(each, None, LabelSet.of(["Dog"])) for each in (path, more))
    with pytest.raises(InputError, match=r"--test .*more\.csv: .* has test clips too; name them"):
        parted(own, other, path, more)
    with pytest.raises(InputError, match=r"more\.csv: 1 of its clips are learnt from too, first"):
        parted(own.of(["train"]), other, path, more)
    with pytest.raises(InputError, match="no clip of the split 'train' to learn from"):
        parted(own.of([TEST]), None, path, None)


def test_a_label_that_every_clip_has_is_told_from_one_that_some_lack(tmp_path):
    write_sound(tmp_path / TONE / "home" / "a.wav", silence(0.5))
    source = read_source(tmp_path, None, LabelSet.of([TONE, NOISE]))
    with pytest.warns(UserWarning, match=f"1 labels are in every training clip, .*: {TONE}$"):
        warn_of_labels_always_there(tmp_path, source)
    write_sound(tmp_path / "_noise" / "b.wav", silence(0.5, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_labels_always_there(tmp_path, read_source(tmp_path, None, source.labels))
