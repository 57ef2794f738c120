"""`mmat prepare` as a user runs it: lists, options, exit statuses, and what is printed."""

import csv
import json
import os

import numpy as np
import pytest
import soundfile

from mmat.cli import main
from mmat.shards.read import read_arrays

pytest_plugins = ["tests.models.tiny_encoder"]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A working folder with five sounds, and lists and labels for them."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("media")
    for i in range(5):
        soundfile.write(f"media/{i}.wav", np.full(16000, 0.1 * i), 16000)
    write("labels.csv", "index,mid,display_name", "0,,Dog", "1,,Cat")
    write("list.csv", "file,labels", *(f"{i}.wav,{'Cat' if i % 2 else 'Dog'}" for i in range(5)))
    return tmp_path


def write(path, *lines):
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


def prepare(*words, lists=("list.csv",), out="shards"):
    common = ["--media", "media", "--labels", "labels.csv", "--out", out, "--image-model", "none"]
    words = [*lists, *common, "--clip-seconds", "1", "--workers", "0", *words]
    return main(["prepare", *map(str, words)])


def index(out="shards"):
    with open(f"{out}/index.json") as file:
        return json.load(file)


def test_settings_are_those_of_the_command_line(bench, capsys):
    assert prepare("--clips-per-shard", "2", "--clip-seconds", "whole", "--split", "test") == 0
    assert capsys.readouterr().out == "test: 5 clips\n"
    found = index()
    assert (found["clip_seconds"], found["clips_per_shard"]) == (None, 2)
    assert found["splits"]["test"]["shards"] == 3
    assert len(os.listdir("shards")) == 7


def test_labels_are_typed_as_for_tagging(bench):
    assert prepare("--labels", "Dog;Cat") == 0
    with open("shards/labels.csv") as file:
        assert [row["display_name"] for row in csv.DictReader(file)] == ["Dog", "Cat"]


def test_several_lists_are_one(bench, capsys):
    write("more.csv", "file,labels,split", "4.wav,Dog,train", "extra/4.wav,Dog,test")
    os.mkdir("media/extra")
    os.link("media/4.wav", "media/extra/4.wav")
    assert prepare(lists=("list.csv", "more.csv")) == 0
    printed = capsys.readouterr()
    assert printed.out == "train: 5 clips\ntest: 1 clips\n"
    assert printed.err.splitlines() == [
        "mmat: dropped: more.csv:2: duplicate clip '4', an earlier list has it",
        "mmat: dropped: 1 rows in all",
    ]


def test_wrong_rows_are_dropped_and_counted_or_an_error(bench, capsys):
    write("list.csv", "file,labels", "0.wav,Dog", *["1.wav,Wolf"] * 30)
    assert prepare() == 0
    printed = capsys.readouterr()
    assert printed.out == "train: 1 clips\n"
    lines = printed.err.splitlines()
    assert len(lines) == 21 and lines[-1] == "mmat: dropped: 30 rows in all"
    assert lines[0].startswith("mmat: dropped: list.csv:3: unknown label 'Wolf'")
    assert prepare("--strict", out="strict") == 2
    assert "list.csv:3: unknown label 'Wolf'" in capsys.readouterr().err
    assert not os.path.exists("strict")


def test_the_lists_own_labels_are_the_default(bench):
    assert main(["prepare", "list.csv", "--media", "media", "--out", "own", "--workers", "0",
                 "--image-model", "none"]) == 0  # fmt: skip
    assert index("own")["labels"] == ["Cat", "Dog"]


def test_more_failures_than_allowed_are_status_3(bench, capsys):
    os.unlink("media/1.wav")
    write("media/2.wav", "no sound")
    for allowed, status in ((1, 3), (2, 0)):
        assert prepare("--max-failures", allowed) == status
        printed = capsys.readouterr().out.splitlines()
        assert printed[-1] == "2 clips cannot be used, see shards/failures.csv"
    with open("shards/failures.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["1"] == {"id": "1", "file": "1.wav", "reason": "media/1.wav: no such file"}
    assert rows["2"]["reason"].startswith("media/2.wav: not a media file")
    assert len(rows) == index()["failures"] == 2


def test_clips_that_lost_something_are_counted_and_named(bench, capsys):
    """A cut file; ranges that go beyond their files, also of a trimmed one; and none of them."""
    os.truncate("media/1.wav", 20_044)
    soundfile.write("media/Yv0000000000_30.000_31.000.wav", np.zeros(12_000), 16000)
    soundfile.write("media/short.wav", np.zeros(8000), 16000)
    write(
        "list.csv",
        "id,file,start_seconds,end_seconds,video_id,labels",
        "whole,0.wav,,,,Dog",
        "cut,1.wav,,,,Dog",
        "inside,2.wav,0.25,0.75,,Dog",
        "beyond,3.wav,0.75,1.5,,Dog",
        "trimmed,v0000000000.wav,30,31,v0000000000,Dog",
        "open end,4.wav,0.75,,,Dog",
        "short,short.wav,,,,Dog",
        "rounded,4.wav,0,1.05,,Dog",
    )
    assert prepare() == 0
    said = "3 clips with a warning: shards/warnings.csv\n"
    assert capsys.readouterr().out.endswith("train: 8 clips\n" + said)
    with open("shards/warnings.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"cut", "beyond", "trimmed"}
    assert index()["warnings"] == 3 and index()["failures"] == 0
    assert rows["cut"]["file"] == "1.wav" and "1.0 s" in rows["cut"]["warning"]
    assert rows["beyond"]["warning"] == (
        "of the 0.75 s in the list, 0.50 s are missing; zeros are in their place"
    )
    assert rows["trimmed"]["warning"] == (
        "of the 1 s in the list, 0.25 s are missing; zeros are in their place"
    )
    assert prepare() == 0  # reused, and said again
    assert said in capsys.readouterr().out
    assert main(["prepare", "--verify", "shards"]) == 0
    write("shards/warnings.csv", "id,file,warning")
    assert main(["prepare", "--verify", "shards"]) == 2
    assert "warnings.csv: 0 rows, but 3 in index.json" in capsys.readouterr().err
    assert prepare("--clip-seconds", "whole", out="others") == 0
    with open("others/warnings.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["beyond"]["warning"] == "of the 0.75 s in the list, 0.50 s are missing"


def test_other_settings_need_a_word(bench, capsys):
    assert prepare() == 0
    assert prepare("--keep-frames") == 2
    assert capsys.readouterr().err == (
        "mmat: error: shards: holds shards made with keep_frames False, not True; give another "
        "folder, or --overwrite (overwrite=True) to replace them\n"
    )
    assert prepare("--keep-frames", "--overwrite") == 0
    assert index()["keep_frames"]


def test_verify_prints_what_is_there(bench, capsys):
    assert prepare() == 0
    n_bytes = os.path.getsize("shards/train-00000-of-00001.tfrecord")
    capsys.readouterr()
    for words in (["--verify", "shards"], ["--verify", "--out", "shards"]):
        assert main(["prepare", *words]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"shards: 1 of 1, {n_bytes / 1e6:.1f} MB",
            "clips: 5 of 5, 0 cannot be used",
            "with sound: 5, with pictures: 0",
            "complete, and as it was written",
        ]
    os.truncate("shards/train-00000-of-00001.tfrecord", n_bytes - 1)
    assert main(["prepare", "--verify", "shards"]) == 2
    assert capsys.readouterr() == (
        "",
        "mmat: error: shards/train-00000-of-00001.tfrecord: record 4: damaged: a checksum is "
        "wrong, or it is cut off\n",
    )


def test_verify_tells_an_unfinished_folder(bench, capsys):
    assert prepare() == 0
    capsys.readouterr()
    unfinished = index() | {"complete": False}
    unfinished["splits"]["train"]["files"] = []
    with open("shards/index.json", "w") as file:
        json.dump(unfinished | {"splits": {"train": unfinished["splits"]["train"] | {
            "clips": 0, "with_audio": 0}}}, file)  # fmt: skip
    os.rename("shards/train-00000-of-00001.tfrecord", "shards/train-00000-of-00001.tfrecord.part")
    assert main(["prepare", "--verify", "shards"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "unfinished, with 5 clips in shards that are not whole; what is there is as it was "
        "written: run the same mmat prepare command again"
    )
    assert prepare() == 0
    assert capsys.readouterr().out == "train: 5 clips\n"  # of media that nobody noted: anew


def test_a_dry_run_writes_nothing(bench, capsys):
    write("list.csv", "file,labels", *(f"{i}.wav,Dog" for i in range(8)))
    before = sorted(os.listdir("."))
    assert prepare("--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["clips: 8 (5 found, 3 missing)", "tried: 5 (0 cannot be read)"]
    assert lines[2].startswith("on disk: 0.000161 GB, 0.0323 MB a clip")
    assert lines[3].endswith(" hours with 0 workers on this machine")
    assert sorted(os.listdir(".")) == before


def test_an_audio_encoder_is_added_to_what_is_there(bench, encoder_folder, models_cache, capsys):
    assert prepare() == 0
    os.rename("media", "elsewhere")
    assert prepare("--audio-encoder", "yamnet") == 0
    assert capsys.readouterr().out == "train: 5 clips\n" * 2
    found = index()["audio_encoder"]
    assert (found["name"], found["embedding_size"], found["n_labels"]) == ("yamnet", 1024, 521)
    assert main(["prepare", "--verify", "shards"]) == 0
    assert prepare("--audio-encoder", encoder_folder) == 2
    assert "no encoder as described" in capsys.readouterr().err
    os.rename("elsewhere", "media")
    assert prepare() == 0 and index()["audio_encoder"] == found
    assert prepare("--audio-encoder", encoder_folder, out="fresh") == 2
    assert not os.path.exists("fresh")


def test_a_dry_run_counts_the_audio_encoder(bench, models_cache, capsys):
    assert prepare("--dry-run", "--audio-encoder", "yamnet") == 0
    # 1 s: two patches of 521 scores and 1024 embeddings, 2 bytes each.
    assert ", 0.0386 MB a clip" in capsys.readouterr().out


def test_files_that_are_trimmed_already_are_read_whole_and_told(bench, capsys):
    """Two public clips whose files hold their range alone, a film's range, and one that is short.

    The sound's value says which second of the video it is, a hundredth a second.
    """
    videos = {
        "-aaaaaaaaaa": (30.0, 40.0),
        "-bbbbbbbbbb": (5.0, 15.0),
        "-cccccccccc": (0.0, 60.0),
        "-dddddddddd": (30.0, 36.0),
    }
    os.mkdir("videos")
    for video, (start, end) in videos.items():
        ramp = np.arange(start * 16000, end * 16000) / 16000 / 100
        soundfile.write(f"videos/Y{video}.wav", ramp, 16000, "FLOAT")
    starts = dict.fromkeys(videos, 30.0) | {"-bbbbbbbbbb": 5.0}
    write("labels.csv", "index,mid,display_name", "0,/m/09x0r,Speech", "1,/m/04rlf,Music")
    rows = [f'{v}, {s:.3f}, {s + 10:.3f}, "/m/09x0r,/m/04rlf"' for v, s in starts.items()]
    write("audioset.csv", "# YTID, start_seconds, end_seconds, positive_labels", *rows)
    words = ["audioset.csv", "--media", "videos", "--labels", "labels.csv", "--image-model", "none",
             "--workers", "0"]  # fmt: skip
    told = (
        "media: 2 read whole, trimmed already; 1 read whole, trimmed and shorter than listed; "
        "1 cut out of longer files"
    )
    assert main(["prepare", *words, "--dry-run"]) == 0
    assert told in capsys.readouterr().out.splitlines()
    assert main(["prepare", *words, "--out", "shards"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [told, "train: 4 clips"]
    arrays = read_arrays("shards", "train")
    clips = dict(zip(arrays["ids"], arrays["waveform"][:, :, 0], strict=True))
    for video, (_, end) in videos.items():
        sound = clips[f"{video}_{starts[video]:.3f}_{starts[video] + 10:.3f}"]
        n_samples = round(16000 * min(10.0, end - starts[video]))
        moments = starts[video] + np.arange(n_samples) / 16000
        np.testing.assert_allclose(sound[:n_samples] * 100, moments, atol=0.01)
        assert not sound[n_samples:].any()


def test_lists_that_others_wrote_are_prepared(bench, capsys):
    """Excel's with decimal commas, AudioSet's strong labels, and rows without an event."""
    write("excel.csv", "file;labels;start_seconds;end_seconds", "0.wav;Dog;0,25;0,75")
    write("events.tsv", "1.wav\t0.5\t0.75\tDog", "2.wav")
    write("labels.csv", "index;mid;display_name", "0;/m/0bt9lr;Dog")
    os.rename("media/3.wav", "media/Yb0RFKhbpFJA.wav")
    strong = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
    write("strong.tsv", strong, "b0RFKhbpFJA_0\t0.100\t0.200\t/m/0bt9lr")
    assert prepare("--strict", lists=("excel.csv", "events.tsv", "strong.tsv")) == 0
    assert capsys.readouterr().out.endswith("train: 4 clips\n")
    found = read_arrays("shards", "train")
    segment = "b0RFKhbpFJA_0.000_10.000"
    truth = dict(zip(found["ids"], found["weak_labels"][:, 0].tolist(), strict=True))
    assert truth == {"0_0.250_0.750": 1, "1": 1, "2": 0, segment: 1}
    times = {name: events for name, events in zip(found["ids"], found["events"], strict=True)}
    assert times["1"] == [(0, 0.5, 0.75)]
    assert times[segment] == [(0, pytest.approx(0.1), pytest.approx(0.2))]
