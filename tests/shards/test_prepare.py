"""From real media to shards and back: what goes in comes out, and failures are reported."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip, Event
from mmat.media.read import read_audio, read_frames
from mmat.shards.prepare import prepare
from mmat.shards.read import read_arrays
from mmat.shards.record import decode_example

LABELS = LabelSet.of(["Dog", "Train horn", "Car"])


class MeanColour:
    """A network whose output is known: three labels, the shares of red, green and blue."""

    name, input_size_px = "mean colour", 32

    def classify(self, pictures):
        assert pictures.dtype == np.uint8 and pictures.shape[1:] == (32, 32, 3)
        return pictures.mean(axis=(1, 2)) / 255


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, sine, write_container):
    """(Media folder, clips): ten movies, one without sound, one sound file, three that fail."""
    folder = tmp_path_factory.mktemp("media")
    clips = []
    for i in range(10):
        picture = np.full((48, 64, 3), 20 * i, np.uint8)
        write_container(
            folder / f"{i}.mp4", sound=sine(1.2, hz=300.0 + 50 * i), picture=lambda _, p=picture: p,
            n_pictures=30,
        )  # fmt: skip
        split = "train" if i < 7 else "test"
        events = (Event("Dog", 0.25, 0.75),) if i % 2 == 0 else ()
        labels = ("Dog",) if i % 2 == 0 else ("Car", "Train horn")
        clips.append(Clip(f"clip {i}", f"{i}.mp4", labels, split=split, events=events))
    write_container(folder / "silent.mp4", audio=None, n_pictures=30)
    clips.append(Clip("silent", "silent.mp4", ("Car",)))
    soundfile.write(folder / "blind.flac", sine(0.5), 44100)
    clips.append(Clip("blind", "blind.flac", ("Dog",)))
    (folder / "text.mp4").write_text("no movie, no movie, no movie")
    (folder / "empty.mp4").touch()
    clips[3:3] = [Clip(name, name, ("Dog",)) for name in ("text.mp4", "empty.mp4", "absent.mp4")]
    return folder, clips


def run(corpus, out, **changes):
    arguments = {
        "image_network": MeanColour(),
        "n_frames": 4,
        "clip_seconds": 1.0,
        "clips_per_shard": 6,
        "workers": 0,
        "progress": False,
    }
    return prepare(corpus[1], corpus[0], out, LABELS, **(arguments | changes))


@pytest.fixture(scope="module")
def shards(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "shards"
    run(corpus, out)
    return out


def test_the_index_counts_and_checks_the_shards(shards):
    index = json.loads((shards / "index.json").read_text())
    assert index["schema_version"] == 1 and index["labels"] == list(LABELS.names)
    assert (index["sample_rate_hz"], index["clip_seconds"], index["n_frames"]) == (16000, 1.0, 4)
    assert index["image_network"] == "mean colour" and index["n_image_labels"] == 3
    train, test = index["splits"]["train"], index["splits"]["test"]
    assert (train["clips"], train["with_audio"], train["with_video"]) == (9, 8, 8)
    assert (test["clips"], test["with_audio"], test["with_video"]) == (3, 3, 3)
    for split in (train, test):
        assert sum(file["clips"] for file in split["files"]) == split["clips"]
        for file in split["files"]:
            content = (shards / file["name"]).read_bytes()
            assert len(content) == file["bytes"]
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert index["complete"] and (train["listed"], train["shards"]) == (12, 2)
    assert {path.name for path in shards.iterdir()} == {
        *(f"train-0000{i}-of-00002.tfrecord{x}" for i in (0, 1) for x in ("", ".failures")),
        *("test-00000-of-00001.tfrecord", "index.json", "labels.csv"),
        *("failures.csv", "warnings.csv"),
    }
    assert LabelSet.from_csv(shards / "labels.csv") == LABELS


def test_what_cannot_be_read_is_reported_with_its_reason(shards):
    with open(shards / "failures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row.keys() == {"id", "file", "reason"} for row in rows)
    reasons = {row["id"]: row["reason"] for row in rows}
    assert reasons.keys() == {"text.mp4", "empty.mp4", "absent.mp4"}
    assert "not a media file" in reasons["text.mp4"]
    assert "is empty" in reasons["empty.mp4"]
    assert "no such file" in reasons["absent.mp4"]


def test_sound_pictures_labels_and_times_come_out_as_they_went_in(corpus, shards):
    folder, clips = corpus
    clips = {clip.id: clip for clip in clips}
    for split in ("train", "test"):
        arrays = read_arrays(shards, split)
        good = [c.id for c in clips.values() if c.split == split and "." not in c.id]
        assert sorted(arrays["ids"]) == sorted(good)
        for i, clip_id in enumerate(arrays["ids"]):
            clip = clips[clip_id]
            names = [n for n, w in zip(LABELS.names, arrays["weak_labels"][i], strict=True) if w]
            assert set(names) == set(clip.labels)
            assert arrays["events"][i] == [
                (LABELS.index(e.label), e.onset_seconds, e.offset_seconds) for e in clip.events
            ]
            assert arrays["has_audio"][i] == (clip_id != "silent")
            assert arrays["has_video"][i] == (clip_id != "blind")
            waveform = arrays["waveform"][i, :, 0]
            if clip_id != "silent":
                sound = read_audio(folder / clip.file, end_seconds=1.0).clip(-1, 1)
                assert np.abs(waveform[: len(sound)] - sound).max() <= 1 / 32768
                assert not waveform[len(sound) :].any()
            else:
                assert not waveform.any()
            probabilities = arrays["image_probabilities"][i]
            if clip_id != "blind":
                frames = read_frames(folder / clip.file, 4, end_seconds=1.0, square_px=32)
                assert probabilities == pytest.approx(MeanColour().classify(frames), abs=1e-3)
            else:
                assert not probabilities.any()


def test_worker_processes_make_the_same_shards(corpus, shards, tmp_path):
    index = run(corpus, tmp_path / "shards", workers=2)
    assert index == json.loads((shards / "index.json").read_text())
    failures = (tmp_path / "shards" / "failures.csv").read_text()
    assert failures == (shards / "failures.csv").read_text()


def test_without_failures_the_order_is_that_of_the_list(corpus, tmp_path):
    folder, clips = corpus
    clips = [clip for clip in clips if "." not in clip.id]
    heard = {"image_network": None, "n_frames": 0}
    clips.remove(next(clip for clip in clips if clip.id == "silent"))
    for clips_per_shard in (1, 2, 3, 100):
        out = tmp_path / str(clips_per_shard)
        run((folder, clips), out, clips_per_shard=clips_per_shard, **heard)
        for split in ("train", "test"):
            expected = [clip.id for clip in clips if clip.split == split]
            assert read_arrays(out, split)["ids"] == expected


def test_a_range_of_a_file_and_every_length(corpus, tmp_path):
    folder, _ = corpus
    parts = [Clip("a", "1.mp4", (), 0.2, 0.7), Clip("b", "1.mp4", (), 0.4, 0.65)]
    run((folder, parts), tmp_path / "shards", clip_seconds=None)
    arrays = read_arrays(tmp_path / "shards", "train")
    assert arrays["waveform"].shape == (2, 8000, 1)
    expected = read_audio(folder / "1.mp4", 0.4, 0.65)
    assert len(expected) == 4000
    assert np.abs(arrays["waveform"][1, :4000, 0] - expected).max() <= 1 / 32768
    assert not arrays["waveform"][1, 4000:].any()


def test_events_that_are_cut_off_with_the_sound_are_left_out_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "night.wav", np.full(3 * 16000, 0.1), 16000)
    events = Event("Dog", 0.5, 1.0), Event("Car", 2.0, 2.5)
    clips = [Clip("night", "night.wav", ("Dog", "Car"), events=events)]
    arguments = {"media_folder": tmp_path, "labels": LABELS, "workers": 0, "progress": False}
    with pytest.warns(
        UserWarning, match="1 clips, first 'night', have events that begin behind 2 s"
    ):
        prepare(clips, out_folder=tmp_path / "cut", clip_seconds=2.0, **arguments)
    prepare(clips, out_folder=tmp_path / "whole", clip_seconds=None, **arguments)
    cut, whole = (read_arrays(tmp_path / name, "train") for name in ("cut", "whole"))
    assert cut["weak_labels"].tolist() == [[1, 0, 0]] and cut["events"] == [[(0, 0.5, 1.0)]]
    assert whole["weak_labels"].tolist() == [[1, 0, 1]]
    assert whole["events"] == [[(0, 0.5, 1.0), (2, 2.0, 2.5)]]


def test_without_an_image_network_pictures_may_be_kept(corpus, tmp_path):
    folder, clips = corpus
    kept = run((folder, clips[:3]), tmp_path / "a", image_network=None, keep_frames=True)
    assert kept["image_network"] is None and kept["splits"]["train"]["with_video"] == 3
    (example, *_) = tf.data.TFRecordDataset(
        str(tmp_path / "a" / "train-00000-of-00001.tfrecord")
    ).as_numpy_iterator()
    record = decode_example(example)
    assert record.image_probabilities is None and len(record.frames_jpeg) == 4
    assert tf.io.decode_jpeg(record.frames_jpeg[0]).shape == (224, 224, 3)
    sound_alone = run((folder, clips), tmp_path / "b", image_network=None)
    assert sound_alone["splits"]["train"]["with_video"] == 0
    assert sound_alone["failures"] == 4  # the clip without sound holds nothing that is wanted


def test_media_are_found_under_the_names_that_downloaders_give(corpus, tmp_path):
    folder, _ = corpus
    clip = Clip("abc_0.200_0.700", "abc_0.200_0.700.wav", (), 0.2, 0.7, video_id="abc")
    (tmp_path / "media" / "deep").mkdir(parents=True)
    shutil.copy(folder / "1.mp4", tmp_path / "media" / "deep" / "Yabc.mp4")
    run((tmp_path / "media", [clip]), tmp_path / "shards", clip_seconds=None)
    arrays = read_arrays(tmp_path / "shards", "train")
    assert (arrays["ids"], arrays["waveform"].shape) == (["abc_0.200_0.700"], (1, 8000, 1))


def test_a_clip_that_takes_too_long_costs_itself(corpus, tmp_path):
    folder, _ = corpus
    shutil.copy(folder / "blind.flac", tmp_path / "short.flac")
    noise = np.random.default_rng(0).normal(0, 0.1, (44100 * 60, 2))
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 44100, 2) as file:
        for _ in range(20):
            file.write(noise)
    clips = [Clip(str(i), f"{name}.flac") for i, name in enumerate(("short", "long", "short"))]
    changes = {"clip_seconds": None, "image_network": None, "workers": 1, "limit_seconds": 1.0}
    index = run((tmp_path, clips), tmp_path / "shards", **changes)
    assert (index["splits"]["train"]["clips"], index["failures"]) == (2, 1)
    reason = f"{tmp_path}/long.flac: takes longer than 1 s to decode"
    table = (tmp_path / "shards" / "failures.csv").read_text()
    assert table == f"id,file,reason\n1,long.flac,{reason}\n"


def test_wrong_folders_and_empty_lists_are_refused(corpus, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="something other than shards"):
        run(corpus, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"
    with pytest.raises(InputError, match="no such media folder"):
        run((tmp_path / "absent", corpus[1]), tmp_path / "shards")
    with pytest.raises(InputError, match="no clips"):
        run((corpus[0], []), tmp_path / "shards")
    with pytest.raises(InputError, match="the id 'clip 0' is there twice"):
        run((corpus[0], corpus[1][:1] * 2), tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
