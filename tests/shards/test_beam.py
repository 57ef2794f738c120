"""The pipeline: its shards are those of one machine, whatever runs it, also after a stop."""

import os
import resource

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip, Event
from mmat.shards.prepare import prepare
from mmat.shards.verify import verify
from tests.processes import environment, mmat_command, run_process

LABELS = LabelSet.of(["a", "b"])


class MeanColour:
    """A network whose output is known: the shares of red, green and blue."""

    name, input_size_px = "mean colour", 32

    def classify(self, pictures):
        return pictures.mean(axis=(1, 2)) / 255


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, write_container):
    folder = tmp_path_factory.mktemp("media")
    clips = []
    for i in range(8):
        soundfile.write(folder / f"{i}.wav", np.full(8000, i / 10), 16000)
        events = (Event("a", 0.25, 0.5),) if i % 2 else ()
        clips.append(Clip(f"clip {i}", f"{i}.wav", ("a",), split="test" * (i % 2) or "train",
                          events=events))  # fmt: skip
    write_container(folder / "movie.mp4", n_pictures=5)
    clips += [Clip("movie", "movie.mp4", ("a", "b"), 0.0, 0.1), Clip("none", "none.wav")]
    os.truncate(folder / "6.wav", 2044)
    return folder, clips


def run(corpus, out, **options):
    folder, clips = corpus
    arguments = {
        "image_network": MeanColour(), "n_frames": 2, "clip_seconds": 0.5,
        "clips_per_shard": 2, "workers": 1, "progress": False,
    }  # fmt: skip
    return prepare(clips, folder, out, LABELS, **(arguments | options))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def local(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "shards"
    index = run(corpus, out)
    assert index["warnings"] == 1
    assert (out / "warnings.csv").read_text().startswith("id,file,warning\nclip 6,6.wav,")
    return contents(out)


def test_the_pipeline_makes_the_same_shards(corpus, local, tmp_path):
    run(corpus, tmp_path / "shards", beam_options=["--runner=DirectRunner"])
    assert contents(tmp_path / "shards") == local
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]


def test_it_goes_on_where_one_machine_stopped(corpus, local, tmp_path):
    out = tmp_path / "shards"
    calls = []

    class Stopping(MeanColour):
        def classify(self, pictures):
            calls.append(pictures)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(corpus, out, image_network=Stopping())
    assert calls and list(out.glob("*.tfrecord*"))
    run(corpus, out, beam_options=["--runner=DirectRunner"])
    assert contents(out) == local


def test_an_error_of_the_file_system_is_reported_as_on_one_machine(corpus, local, tmp_path):
    """A real one: no file may get longer than a shard's first record."""
    out = tmp_path / "shards"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"\.part: File too large; the finished"):
            run(corpus, out, beam_options=["--runner=DirectRunner"], workers=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(out.glob("*.jobs")) and not verify(out, progress=False).complete
    run(corpus, out, beam_options=["--runner=DirectRunner"], workers=0)
    assert contents(out) == local


def test_a_pipeline_that_fails_is_one_line(corpus, tmp_path):
    with pytest.raises(InputError, match="the Beam pipeline failed: .*NoRunner"):
        run(corpus, tmp_path / "shards", beam_options=["--runner=NoRunner"])


def test_several_processes_from_the_command_line(corpus, tmp_path):
    folder, clips = corpus
    rows = [f"{clip.id},{clip.file},{';'.join(clip.labels)},{clip.split}" for clip in clips[:8]]
    (tmp_path / "list.csv").write_text("\n".join(["id,file,labels,split", *rows]))
    words = ["prepare", tmp_path / "list.csv", "--media", folder, "--clip-seconds", "0.5"]
    words += ["--image-model", "none", "--clips-per-shard", "2", "--workers", "1", "--out"]
    beam = ["--runner", "DirectRunner", "--direct_running_mode=multi_processing"]
    command = mmat_command(*words, tmp_path / "beam", *beam, "--direct_num_workers=2")
    done = run_process(command, environment(TF_CPP_MIN_LOG_LEVEL="3"))
    warned = f"1 clips with a warning: {tmp_path / 'beam' / 'warnings.csv'}\n"
    counts = "train: 4 clips\ntest: 4 clips\n"
    assert (done.returncode, done.stdout) == (0, counts + warned), done.stderr
    from mmat.cli import main

    assert main([*map(str, words), str(tmp_path / "local")]) == 0
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
