"""A second run on the same folder: reused, gone on with, refused or replaced; never two at once."""

import csv
import os
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.shards.prepare import prepare
from mmat.shards.read import load_split, read_arrays
from tests.processes import environment, program

LABELS = LabelSet.of(["Dog", "Car"])


@pytest.fixture
def media(tmp_path):
    """Seven sound files."""
    folder = tmp_path / "media"
    folder.mkdir()
    for i in range(7):
        soundfile.write(folder / f"{i}.wav", np.full(1600, i / 10), 16000)
    return folder


def clips_of(n_clips=8, label="Dog"):
    """Clips of the media; those from the eighth on have none."""
    return [Clip(f"clip {i}", f"{i}.wav", (label,)) for i in range(n_clips)]


def run(media, clips=None, labels=LABELS, **changes):
    arguments = {"clip_seconds": 0.1, "clips_per_shard": 3, "workers": 0, "progress": False}
    clips = clips_of() if clips is None else clips
    return prepare(clips, media, media.parent / "shards", labels, **(arguments | changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_finished_shards_are_reused(media, capsys):
    index = run(media)
    before = contents(media.parent / "shards")
    dates = {path: path.stat().st_mtime_ns for path in (media.parent / "shards").iterdir()}
    assert run(media, progress=True) == index
    assert "holds these clips already, and is reused" in capsys.readouterr().out
    assert contents(media.parent / "shards") == before
    assert {path: path.stat().st_mtime_ns for path in dates} == dates


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clips": clips_of(6)}, "holds shards of another list"),
        ({"clips": clips_of(label="Car")}, "holds shards of another list"),
        ({"labels": LabelSet.of(["Car", "Dog"])}, "holds shards of other labels"),
        ({"clip_seconds": None}, "holds shards made with clip_seconds 0.1, not None"),
        ({"clips_per_shard": 2}, "holds shards made with clips_per_shard 3, not 2"),
    ],
)
def test_other_shards_are_refused_or_replaced_whole(media, changes, message):
    out = media.parent / "shards"
    run(media)
    (out / "mine.txt").write_text("precious")
    before = contents(out)
    with pytest.raises(InputError, match=f"{message}; give another folder, or --overwrite"):
        run(media, **changes)
    assert contents(out) == before
    replaced = run(media, overwrite=True, **changes)
    assert replaced["complete"] and replaced["splits"]["train"]["clips"] in (6, 7)
    after = contents(out)
    assert after.pop("mine.txt") == b"precious"
    shutil.rmtree(out)
    assert run(media, **changes) == replaced
    assert contents(out) == after


def test_changed_media_are_reported_and_their_shards_alone_made_again(media):
    out = media.parent / "shards"
    run(media)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")}
    soundfile.write(media / "7.wav", np.full(1600, 0.7), 16000)  # was missing
    with pytest.raises(InputError, match="the media of 1 of its 3 shards have changed, first"):
        run(media)
    index = run(media, overwrite=True)
    assert (index["splits"]["train"]["clips"], index["failures"]) == (8, 0)
    made = [path.name for path in before if path.stat().st_mtime_ns != before[path]]
    assert made == ["train-00001-of-00003.tfrecord"]
    assert (out / "failures.csv").read_text() == "id,file,reason\n"
    assert len(read_arrays(out, "train")["ids"]) == 8


def test_a_shard_that_is_missing_or_cut_off_is_made_again(media):
    out = media.parent / "shards"
    run(media)
    before = contents(out)
    (out / "train-00000-of-00003.tfrecord").unlink()
    os.truncate(out / "train-00002-of-00003.tfrecord", 50)
    run(media)
    assert contents(out) == before


@pytest.fixture
def movies(tmp_path, write_container):
    """Six movies and a file that is none."""
    folder = tmp_path / "media"
    folder.mkdir()
    for i in range(7):
        write_container(folder / f"{i}.mp4", audio=None, n_pictures=4)
    (folder / "2.mp4").write_text("no movie, no movie, no movie")
    return folder


@pytest.mark.parametrize("stop_at", [1, 3, 6])
def test_an_interrupted_run_goes_on_to_the_same_bytes(movies, stop_at, capsys):
    clips = [Clip(f"clip {i}", f"{i}.mp4", ("Dog",)) for i in range(7)]
    out, seen = movies.parent / "shards", []

    class Network:
        name, input_size_px = "mean colour", 32

        def classify(self, pictures):
            seen.append(len(pictures))
            if len(seen) == stop_at:
                raise KeyboardInterrupt
            return pictures.mean(axis=(1, 2)) / 255

    options = {"image_network": Network(), "n_frames": 2, "progress": True}
    with pytest.raises(KeyboardInterrupt):
        run(movies, clips, **options)
    capsys.readouterr()
    with pytest.raises(InputError, match="unfinished; run the same mmat prepare command again"):
        load_split(out, "train")
    with pytest.raises(InputError, match="holds shards of another list"):
        run(movies, clips[:5], **options)
    index = run(movies, clips, **options)
    there = {1: 0, 3: 2, 6: 6}[stop_at]  # in the sixth's turn the file that is none has failed
    message = f"{there} of 7 clips are there already; going on"
    assert (message in capsys.readouterr().out) == (there > 0)
    assert seen == [2] * 7  # six clips, and the one that was interrupted again
    interrupted = contents(out)
    shutil.rmtree(out)
    assert run(movies, clips, **options) == index
    assert contents(out) == interrupted


class Changing:
    """A network that does something to the media in the turn of a given picture clip."""

    name, input_size_px = "mean colour", 32

    def __init__(self, turn, what):
        self.turn, self.what, self.n_seen = turn, what, 0

    def classify(self, pictures):
        self.n_seen += 1
        if self.n_seen == self.turn:
            self.what()
        return pictures.mean(axis=(1, 2)) / 255


def interrupt():
    raise KeyboardInterrupt


def silence(path):
    soundfile.write(path, np.zeros(1600), 16000, format="WAV")


@pytest.mark.parametrize("beam_options", [None, ["--runner=DirectRunner"]])
@pytest.mark.parametrize(
    "clips_per_shard",
    [
        7,  # all in one shard, which is begun
        2,  # the first shards are whole and in the index, and one is begun
    ],
)
@pytest.mark.parametrize("changed", [0, 2, 3])
def test_a_clip_whose_file_changed_is_made_anew_when_it_goes_on(
    movies, changed, clips_per_shard, beam_options
):
    """Clip 2 had failed before; clip 3 is the last that was done."""
    clips = [Clip(f"clip {i}", f"{i}.mp4", ("Dog",)) for i in range(7)]
    out, options = movies.parent / "shards", {"n_frames": 2, "clips_per_shard": clips_per_shard}
    with pytest.raises(KeyboardInterrupt):
        run(movies, clips, image_network=Changing(6, interrupt), **options)
    silence(movies / f"{changed}.mp4")
    seen = Changing(99, interrupt)
    index = run(movies, clips, image_network=seen, beam_options=beam_options, **options)
    before = contents(out)
    arrays = read_arrays(out, "train")
    assert not arrays["has_video"][arrays["ids"].index(f"clip {changed}")]
    again = run(movies, clips, image_network=seen, **options)
    assert again == index and contents(out) == before
    shutil.rmtree(out)
    assert run(movies, clips, image_network=seen, **options) == index
    assert contents(out) == before


@pytest.mark.parametrize("at", ["the part", "the whole shard"])
def test_also_where_all_clips_were_done_but_the_shard_is_not_in_the_index(movies, at):
    """As a kill leaves it between the last clip, the shard's name and the index."""
    clips = [Clip(f"clip {i}", f"{i}.mp4", ("Dog",)) for i in range(7)]
    out, seen = movies.parent / "shards", Changing(99, interrupt)
    options = {"image_network": seen, "n_frames": 2, "clips_per_shard": 7}
    preparing = program("killed_between", movies, out, at)
    assert subprocess.run(preparing, env=environment()).returncode == -signal.SIGKILL
    shard = "train-00000-of-00001.tfrecord"
    assert (out / (shard + (".part" if at == "the part" else ""))).exists()
    assert (out / f"{shard}.journal").exists()
    silence(movies / "0.mp4")
    run(movies, clips, **options)
    arrays = read_arrays(out, "train")
    assert arrays["has_video"].tolist() == [False] + [True] * 5
    before = contents(out)
    assert before.keys() == {shard, f"{shard}.failures", "index.json", "labels.csv",
                             "failures.csv", "warnings.csv"}  # fmt: skip
    shutil.rmtree(out)
    run(movies, clips, **options)
    assert contents(out) == before


def test_a_file_that_changes_after_it_was_read_is_found_by_the_next_run(movies):
    clips = [Clip(f"clip {i}", f"{i}.mp4", ("Dog",)) for i in range(7)]
    options = {"n_frames": 2, "clips_per_shard": 7}
    network = Changing(4, lambda: silence(movies / "0.mp4"))
    run(movies, clips, image_network=network, **options)
    with pytest.raises(InputError, match="the media of 1 of its 1 shards have changed"):
        run(movies, clips, image_network=network, **options)


def test_a_file_that_changes_while_it_is_read_has_failed_and_is_tried_again(media):
    """It is written again and again meanwhile."""
    out = media.parent / "shards"
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            silence(media / "3.wav")
            time.sleep(0.001)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        index = run(media, workers=1)
    finally:
        stop.set()
        writer.join()
    with open(out / "failures.csv", newline="") as file:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert index["failures"] == 2 and reasons.keys() == {"clip 3", "clip 7"}
    assert reasons["clip 3"] == f"{media / '3.wav'}: changed while it was read; " + (
        "run mmat prepare again"
    )
    with pytest.raises(InputError, match="the media of 1 of its 3 shards have changed"):
        run(media)
    assert run(media, overwrite=True)["failures"] == 1
    assert "clip 3" in read_arrays(out, "train")["ids"]


def test_where_nothing_can_be_read_the_reasons_are_left_and_a_rerun_starts_again(media):
    clips = [Clip(name, name, ("Dog",)) for name in ("a.wav", "b.wav", "c.wav", "d.wav")]
    for _ in range(2):
        with pytest.raises(InputError, match="none of the 4 clips can be read; first .*a.wav: no"):
            run(media, clips)
        assert len((media.parent / "shards" / "failures.csv").read_text().splitlines()) == 5
    soundfile.write(media / "a.wav", np.zeros(1600), 16000)
    assert run(media, clips)["splits"]["train"]["clips"] == 1


def test_two_runs_on_one_folder_are_refused(media, tmp_path):
    """The second is refused while the first lives, and not after its death."""
    out = media.parent / "shards"
    command = program("holding_a_folder", out)
    pipe = {"stdout": subprocess.PIPE, "text": True, "env": environment()}
    with subprocess.Popen(command, **pipe) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another mmat prepare is writing there"):
            run(media)
        first.kill()
        first.wait()
        assert (out / ".lock").exists()
        assert run(media)["complete"]
    assert not (out / ".lock").exists()
