"""The digest of what a folder of shards gives to a model, batch by batch."""

import hashlib
import sys

import tensorflow as tf

from mmat.shards.read import MODEL_INPUTS
from mmat.shards.sampling import batches_from


def digest(folder, seed):
    tf.random.set_seed(0)  # other tests may have set one, and tf.data draws by both
    digest = hashlib.sha256()
    for inputs, labels in batches_from(folder, "train", 6, seed, MODEL_INPUTS)(0).take(8):
        for _, values in sorted(inputs.items()):
            digest.update(values.numpy().tobytes())
        digest.update(labels.numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(digest(sys.argv[1], 1))
