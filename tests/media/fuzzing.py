"""What must hold of damaged files: reading them is harmless, and they cost no other clip."""

import contextlib
import csv
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator

import numpy as np

from tests.media.damage import write_damaged, write_intact

CLIP_LIMIT_SECONDS = 20.0  # a clip takes a twentieth of a second
WORKER_MEGABYTES = 256  # the libraries alone take 90
RANGES_SECONDS = ((None, None), (None, 1.0), (0.4, 1.2), (0.7, None))
N_FRAMES = 4
SIZE_PX = 32
_ROOT = pathlib.Path(__file__).resolve().parents[2]


def write_corpus(folder: pathlib.Path, numbers: Iterable[int]) -> dict[str, bool]:
    """Write damaged files and the intact ones that they were made of, in a mixed order.

    Returns {file: whether it is damaged}.
    """
    intact = write_intact(folder)
    damaged = write_damaged(folder, intact, numbers)
    files = [(path.name, False) for path in intact] + [(path.name, True) for path in damaged]
    random.Random(0).shuffle(files)
    return dict(files)


def read_corpus(folder: pathlib.Path, files: Iterable[str], limit_seconds: float) -> list[dict]:
    """Read every file by worker processes, then in one process; return what came of each.

    That one process is neither this one, which a codec might take with it, nor one with
    TensorFlow, whose memory would count as the workers'. Fails if it does not come to an end,
    prints something, or lets a worker grow.
    """
    report = folder / "read.jsonl"
    (folder / "files.json").write_text(json.dumps(list(files)))
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", __name__, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=limit_seconds
    )
    answers = [json.loads(line) for line in report.read_text().splitlines()]
    assert done.returncode == 0, (done.returncode, "after", answers[-1:], done.stderr[-2000:])
    assert done.stdout == ""
    worker_megabytes = answers.pop(0)["worker_megabytes"]
    print(f"peak memory of a worker: {worker_megabytes:.0f} MB")
    assert worker_megabytes < WORKER_MEGABYTES
    return answers


def _read_corpus(folder: pathlib.Path) -> None:
    """Read all files of `files.json`, with a line in `read.jsonl` for each: the child's side."""
    from mmat.media.workers import decode

    files = json.loads((folder / "files.json").read_text())
    jobs = [_job(folder / file, number) for number, file in enumerate(files)]
    with open(folder / "read.jsonl", "w", buffering=1) as report:
        by_worker = [_outcome(each) for each in decode(jobs, 2, limit_seconds=CLIP_LIMIT_SECONDS)]
        peak_units = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        unit_bytes = 1 if sys.platform == "darwin" else 1024
        print(json.dumps({"worker_megabytes": peak_units * unit_bytes / 2**20}), file=report)
        for file, job, answer in zip(files, jobs, by_worker, strict=True):
            row = {"file": file, "worker": answer, "here": _read_here(job)}
            print(json.dumps(row), file=report)


def _job(path: pathlib.Path, number: int) -> dict:
    start_seconds, end_seconds = RANGES_SECONDS[number % len(RANGES_SECONDS)]
    times = {"start_seconds": start_seconds, "end_seconds": end_seconds}
    return {"path": path, "n_frames": N_FRAMES, "square_px": SIZE_PX} | times


def _read_here(job: dict) -> str:
    from mmat.files import InputError
    from mmat.media.read import read_media

    try:
        return _outcome(read_media(**job))
    except InputError as error:
        return str(error)
    except Exception as error:  # an assertion of `_outcome`, too: the rest is to be read as well
        return f"{type(error).__name__}: {error}"


def _outcome(result) -> str:
    """Return "media" for media that keep to what `read_media` promises, else the reason."""
    if isinstance(result, str):
        return result
    waveform, frames = result.waveform, result.frames
    assert waveform is not None or frames is not None
    if waveform is not None:
        assert waveform.dtype == np.float32 and waveform.ndim == 1 and np.isfinite(waveform).all()
    if frames is not None:
        assert frames.dtype == np.uint8 and frames.shape == (N_FRAMES, SIZE_PX, SIZE_PX, 3)
    assert 0 <= result.duration_seconds < float("inf")
    return "media"


def check_answers(answers: list[dict], files: dict[str, bool]) -> None:
    """Each file gave media or one line that names it, from a worker as from a plain call."""
    assert [row["file"] for row in answers] == list(files)
    wrong = []
    for row in answers:
        reason, file = row["here"], row["file"]
        is_named = files[file] and file in reason and len(reason.splitlines()) == 1
        if row["worker"] != reason or (reason != "media" and not is_named):
            wrong.append(row)
    assert not wrong, (len(wrong), wrong[:5])


def prepare_corpus(folder: pathlib.Path, files: Iterable[str], out: pathlib.Path) -> tuple:
    """Prepare shards of all files; return ({id: serialized record}, {file: reason})."""
    import tensorflow as tf

    from mmat.labels import LabelSet
    from mmat.lists.clip import Clip
    from mmat.shards.prepare import prepare
    from mmat.shards.record import decode_example

    clips = []
    for file in files:
        number = sum(file.encode())  # the same whatever else is in the list
        start_seconds, end_seconds = RANGES_SECONDS[number % len(RANGES_SECONDS)]
        split = ("train", "test")[number % 2]
        clips.append(Clip(file, file, ("Dog",), start_seconds, end_seconds, split))
    prepare(
        clips,
        folder,
        out,
        LabelSet.of(["Dog", "Cat"]),
        MeanColour(),
        n_frames=N_FRAMES,
        clip_seconds=1.0,
        clips_per_shard=100,
        workers=2,
        limit_seconds=CLIP_LIMIT_SECONDS,
        keep_frames=True,
        progress=False,
    )
    records = {}
    for shard in sorted(out.glob("*.tfrecord")):
        for serialized in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            clip_id = decode_example(serialized).id
            assert clip_id not in records
            records[clip_id] = serialized
    with open(out / "failures.csv", encoding="utf-8", newline="") as file:
        failures = [(row["file"], row["reason"]) for row in csv.DictReader(file)]
    assert len(dict(failures)) == len(failures)
    return records, dict(failures)


class MeanColour:
    """A network that can be foretold: the shares of red, green and blue."""

    name, input_size_px = "mean colour", SIZE_PX

    def classify(self, pictures: np.ndarray) -> np.ndarray:
        return pictures.mean(axis=(1, 2)) / 255


def check_shards(folder: pathlib.Path, files: dict[str, bool], out: pathlib.Path) -> dict[str, str]:
    """Nothing is lost, and intact clips come out as without the damaged ones.

    Returns {file: reason} of the failures.
    """
    records, failures = prepare_corpus(folder, files, out / "mixed")
    assert records.keys() | failures.keys() == files.keys()
    assert not records.keys() & failures.keys()
    intact = [file for file, damaged in files.items() if not damaged]
    alone, none = prepare_corpus(folder, intact, out / "intact")
    assert alone.keys() == set(intact) and not none
    assert all(records[file] == alone[file] for file in intact)
    for file, reason in failures.items():
        assert reason.strip() and len(reason.splitlines()) == 1, (file, reason)
    return failures


@contextlib.contextmanager
def limited_to(seconds: int) -> Iterator[None]:
    """Raise TimeoutError where the body takes longer: a hang is a failure, not a wait."""

    def stop(*_):
        raise TimeoutError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    _read_corpus(pathlib.Path(sys.argv[1]))
