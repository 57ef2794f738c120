"""Says how many batches still come after the shards are gone: those that were read ahead."""

import sys
import time

import tensorflow as tf

from mmat.shards.corpus import open_corpus

tf.config.experimental.enable_op_determinism()  # as the experiments do
tf.random.set_seed(0)
folder = sys.argv[1]
corpus = open_corpus(folder, hold_out=False)
batches = iter(corpus.batches_from("train", ["has_audio"], 40)(0))
next(batches)
time.sleep(3)
for shard in corpus.folder.glob("*.tfrecord"):
    shard.unlink()
n_ahead = 0
try:
    while True:
        next(batches)
        n_ahead += 1
except tf.errors.NotFoundError:
    print(n_ahead)
