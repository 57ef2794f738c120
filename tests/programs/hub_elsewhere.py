"""A model from TF-Hub answers as an export without mmat, and as a saved model."""

import sys

import numpy as np
import tensorflow as tf

folder = sys.argv[1]
frames = np.load(folder + "/frames.npy")
artefact = tf.saved_model.load(folder + "/exported")
exported = artefact.serve(frames).numpy()
assert "mmat" not in sys.modules
import keras  # noqa: E402

import mmat.pretrained.hub  # noqa: E402, F401 - registers its layer

model = keras.saving.load_model(folder + "/model.keras", safe_mode=True)
assert not model.trainable_variables
np.savez(folder + "/got.npz", exported=exported, loaded=model.predict(frames, verbose=0))
