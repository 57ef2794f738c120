"""A user's own few lines: what YAMNet says of a WAV file of 16 kHz.

python benchmarks/peers/yamnet_tag.py SAVED_MODEL CLASS_MAP WAV
"""

import csv
import sys

import tensorflow as tf


def loaded(folder):
    """Return Google's network, which is a layer of a wheel's SavedModel."""
    return getattr(tf.saved_model.load(str(folder)), "layer-1").layer._func


def main() -> None:
    import numpy as np
    import soundfile

    folder, class_map, path = sys.argv[1:]
    network = loaded(folder)
    samples, _ = soundfile.read(path, dtype="float32")
    scores, _, _ = network(tf.constant(samples))
    with open(class_map, newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    mean = scores.numpy().mean(axis=0)
    for place in np.argsort(-mean)[:5]:
        print(f"{names[place]}: {mean[place]:.2f}")


if __name__ == "__main__":
    main()
