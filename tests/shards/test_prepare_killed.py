"""Killed at any moment, or out of space: what is there is valid, and the next run goes on."""

import csv
import os
import subprocess

import numpy as np
import pytest
import soundfile

from mmat.shards.read import read_arrays
from mmat.shards.verify import verify
from tests.processes import program, run_process, user_environment

N_CLIPS = 60


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Sixty short sounds, of which every seventh is none, and every eleventh is cut off."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    for i in range(N_CLIPS):
        soundfile.write(folder / f"{i}.wav", rng.normal(0, 0.1, 8000), 16000)
        if i % 7 == 3:
            (folder / f"{i}.wav").write_text("no sound, no sound")
        elif i % 11 == 2:
            os.truncate(folder / f"{i}.wav", 6_044)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_again_and_again_it_ends_with_the_same_bytes(media, tmp_path):
    from mmat.labels import LabelSet
    from mmat.lists.clip import Clip
    from mmat.shards.prepare import prepare

    done = run_process(program("killed_prepare", media, tmp_path / "killed", 1, N_CLIPS, 16))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
    clips = [
        Clip(f"clip {i}", f"{i}.wav", ("a",), split="test" if i % 5 else "train")
        for i in range(N_CLIPS)
    ]
    labels = LabelSet.of(["a"])
    prepare(
        clips, media, tmp_path / "whole", labels, clip_seconds=0.5, clips_per_shard=15, workers=0,
        progress=False,
    )  # fmt: skip
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    ids = [x for split in ("train", "test") for x in read_arrays(tmp_path / "killed", split)["ids"]]
    assert sorted(ids) == sorted(f"clip {i}" for i in range(N_CLIPS) if i % 7 != 3)
    assert verify(tmp_path / "killed", progress=False).clips == len(ids)
    with open(tmp_path / "killed" / "warnings.csv", newline="") as file:
        warned = [row["id"] for row in csv.DictReader(file)]
    expected = [f"clip {i}" for i in range(N_CLIPS) if i % 11 == 2 and i % 7 != 3]
    assert sorted(warned) == sorted(expected) and len(expected) == 5


# --- a full disk


def has_own_mounts():
    """Whether this system lets a process have mounts of its own."""
    try:
        command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def prepared(media, out):
    from mmat.labels import LabelSet
    from mmat.lists.clip import Clip
    from mmat.shards.prepare import prepare

    clips = [Clip(f"clip {i}", f"{i}.wav", ("a",)) for i in range(40)]
    prepare(
        clips, media, out, LabelSet.of(["a"]), clip_seconds=0.5, clips_per_shard=10, workers=0,
        progress=False,
    )  # fmt: skip
    return contents(out)


@pytest.mark.skipif(not has_own_mounts(), reason="needs mounts of the process's own")
def test_a_full_disk_is_reported_and_gone_on_from(media, tmp_path):
    (tmp_path / "disk").mkdir()
    preparing = program("small_disk", media, tmp_path / "disk", tmp_path / "copy")
    done = run_process(["unshare", "-Urm", *preparing])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 3
    for line in lines:
        assert line.startswith(str(tmp_path / "disk"))
        assert ": No space left on device; the finished shards are valid: make space" in line
    assert contents(tmp_path / "copy") == prepared(media, tmp_path / "whole")


def test_a_limit_of_the_size_of_files_is_one_line_and_status_2(media, tmp_path):
    rows = [f"clip {i},{i}.wav,a" for i in range(40)]
    (tmp_path / "list.csv").write_text("\n".join(["id,file,labels", *rows]))
    words = ["prepare", tmp_path / "list.csv", "--media", media, "--out", tmp_path / "shards"]
    words += ["--image-model", "none", "--clip-seconds", "0.5", "--clips-per-shard", "10"]
    command = program("limited_files", 50_000, *words, "--workers", "0")
    done = run_process(command, user_environment())
    part = tmp_path / "shards" / "train-00000-of-00004.tfrecord.part"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mmat: error: {part}: File too large; the finished shards are valid: make space and run "
        "the same command again, which goes on from here\n"
    )
    found = verify(tmp_path / "shards", progress=False)
    assert (found.complete, found.shards, found.begun) == (False, 0, 3)
    assert prepared(media, tmp_path / "shards") == prepared(media, tmp_path / "whole")
