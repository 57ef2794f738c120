"""An exported branch on an encoder answers without mmat, Kapre and TF-Hub."""

import sys

import numpy as np
import tensorflow as tf

folder = sys.argv[1]
waveform = np.load(folder + "/waveform.npy")
for name in ("mmat", "kapre", "tensorflow_hub"):
    sys.modules[name] = None
served = tf.saved_model.load(folder + "/export").signatures["serving_default"]
scores = {name: value.numpy() for name, value in served(waveform=tf.constant(waveform)).items()}
np.savez(folder + "/exported.npz", **scores)
