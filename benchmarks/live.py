"""How long after a sound begins `mmat tag --live` reports it.

    python benchmarks/live.py    a minute

A stream in real time, 20 ms at a time, through a pipe: faint noise, and a dog that barks at times
that drift over the hop. Printed are the delay from a bark's first sample to the first line that
reports a dog, and that from a hop's last sample to its line.
"""

import argparse
import json
import subprocess
import sys
import threading
import time

import numpy as np

from mmat.corpora.mini import fetch_mini, read_sources
from mmat.files import data_list
from mmat.media.read import SAMPLE_RATE_HZ, read_audio

BARK = "dog-gc-lrbark-1-la-cut"
BLOCK_SECONDS, EVERY_SECONDS = 0.02, 6.1
LABEL = "Dog"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hop-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the stream")
    arguments = parser.parse_args()
    samples, onsets = stream(arguments.seconds)
    command = [sys.executable, "-m", "mmat", "tag", "-", "--live", str(SAMPLE_RATE_HZ)]
    command += ["--labels", LABEL, "--format", "json"]
    command += ["--hop-seconds", str(arguments.hop_seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        # The model is loaded and warm before the clock starts.
        process.stdin.write(bytes(2 * round(2 * arguments.hop_seconds * SAMPLE_RATE_HZ)))
        process.stdin.flush()
        for _ in range(2):
            process.stdout.readline()
        began = time.perf_counter()
        writer = threading.Thread(target=write, args=(process.stdin, samples, began))
        writer.start()
        lines = [(time.perf_counter() - began, json.loads(line)) for line in process.stdout]
        writer.join()
    shift = 2 * arguments.hop_seconds
    moments = [(at, line["seconds"] - shift, line) for at, line in lines]
    report("hop's end to its line", [at - seconds for at, seconds, _ in moments[:-1]])
    report("computing", [line["compute_seconds"] for *_, line in moments])
    delays = []
    for onset in onsets:
        heard = [at for at, seconds, line in moments if seconds > onset and names(line, LABEL)]
        if heard:
            delays.append(heard[0] - onset)
    report(f"bark to line, {len(delays)} of {len(onsets)} barks", delays)


def stream(seconds: float) -> tuple[np.ndarray, list[float]]:
    fetch_mini()
    files = {source.id: source.file for source in read_sources(data_list("mini", "sources.csv"))}
    bark = read_audio(fetch_mini(progress=False) / files[BARK])
    bark = bark[np.argmax(np.abs(bark) > 0.05 * np.abs(bark).max()) :]  # from its first sound on
    bark = 0.5 * bark / np.abs(bark).max()
    rng = np.random.default_rng(0)
    whole = rng.normal(0, 0.002, round(seconds * SAMPLE_RATE_HZ))
    onsets = list(np.arange(3.0, seconds - 3.0, EVERY_SECONDS))
    for onset in onsets:
        first = round(onset * SAMPLE_RATE_HZ)
        whole[first : first + len(bark)] += bark[: len(whole) - first]
    return np.round(whole * 32767).astype("<i2"), onsets


def write(pipe, samples: np.ndarray, began: float) -> None:
    """Write samples as a microphone would: each block when its last sample has been heard."""
    n = round(BLOCK_SECONDS * SAMPLE_RATE_HZ)
    for first in range(0, len(samples), n):
        end = min(first + n, len(samples)) / SAMPLE_RATE_HZ
        time.sleep(max(0.0, began + end - time.perf_counter()))
        pipe.write(samples[first : first + n].tobytes())
        pipe.flush()
    pipe.close()


def names(line: dict, label: str) -> bool:
    return any(tag["label"] == label for tag in line["tags"])


def report(what: str, seconds: list[float]) -> None:
    low, middle, high = np.percentile(seconds, [0, 50, 100])
    print(f"{what}: median {middle:.2f} s, {low:.2f} to {high:.2f} s")


if __name__ == "__main__":
    main()
