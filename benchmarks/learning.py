"""Time and memory of learning from names, on as many clips as wanted, made of those in shards.

    python -m benchmarks.learning SHARDS                     the clips as they are
    python -m benchmarks.learning SHARDS --clips 51172       as many, made of what they were read as

A made clip has the evidence of a real one with noise, and embeddings between those of two, with
noise in 300 directions, so that they vary in more than the real ones span. Scores mean nothing.
"""

import argparse
import resource
import time

import numpy as np

from mmat.shards.corpus import TRAIN, open_corpus
from mmat.training.learn import Frozen, learn_weights, models_of, read_frozen

N_DIRECTIONS = 300
CLIPS_AT_ONCE = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards")
    parser.add_argument("--clips", type=int, help="default: those of the shards")
    parser.add_argument("--classes", type=int, default=17, help="of made clips (default 17)")
    arguments = parser.parse_args()
    corpus = open_corpus(arguments.shards, hold_out=False)
    clips = read_frozen(models_of(corpus), corpus, TRAIN)
    if arguments.clips:
        clips = made(clips, arguments.clips, arguments.classes)
    began, before = time.perf_counter(), time.process_time()
    learnt = learn_weights(clips, corpus.task, progress=True)
    took, computed = time.perf_counter() - began, time.process_time() - before
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(clips.ids):,} clips, {clips.truth.shape[1]} classes: {took:.0f} s")
    print(f"processor {computed:.0f} s, peak {peak_gb:.2f} GB with TensorFlow")
    print({sense: branch.choice.ridges for sense, branch in learnt.branches.items()})


def made(clips: Frozen, n_clips: int, n_classes: int) -> Frozen:
    """Return clips made of others, nine in ten with a source of their own."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(clips.ids), n_clips)
    columns = np.arange(n_classes) % clips.truth.shape[1]
    wrong = rng.random((n_clips, n_classes)) < 0.01
    truth = np.abs(clips.truth[rows][:, columns] - wrong).astype(np.float32)
    statistics = {
        sense: x[rows][:, columns] + rng.normal(0, 0.5, (n_clips, n_classes, x.shape[-1]))
        for sense, x in clips.statistics.items()
    }
    pooled = {sense: _mixed(x, rows, rng) for sense, x in clips.pooled.items()}
    groups = [(f"source {x}",) for x in rng.integers(0, max(1, int(0.9 * n_clips)), n_clips)]
    present = {sense: np.ones(n_clips, bool) for sense in clips.present}
    ids = [str(row) for row in range(n_clips)]
    return Frozen(ids, truth, groups, present, statistics, pooled)


def _mixed(pooled: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    real, size = pooled.astype(np.float32), pooled.shape[1]
    directions = rng.normal(0, N_DIRECTIONS**-0.5, (N_DIRECTIONS, size)).astype(np.float32)
    found = np.empty((len(rows), size), np.float16)
    for start in range(0, len(rows), CLIPS_AT_ONCE):
        one = rows[start : start + CLIPS_AT_ONCE]
        other = rng.integers(0, len(real), len(one))
        noise = 0.5 * rng.normal(size=(len(one), N_DIRECTIONS)) @ directions
        noise += 0.3 * rng.normal(size=(len(one), size))
        found[start : start + len(one)] = 0.7 * real[one] + 0.3 * real[other] + real.std(0) * noise
    return found


if __name__ == "__main__":
    main()
