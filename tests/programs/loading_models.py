"""Every saved model of a folder answers as it did where it was saved."""

import pathlib
import sys

import keras
import numpy as np

from mmat.models.bundle import register_layers

register_layers()
folder = pathlib.Path(sys.argv[1])
inputs = dict(np.load(folder / "inputs.npz"))
for path in sorted(folder.glob("*.keras")):
    model = keras.models.load_model(path, safe_mode=True)
    scores = model({name: inputs[name] for name in model.input}, training=False)
    expected = np.load(path.with_suffix(".npz"))
    assert set(scores) == set(expected), path
    for name in expected:
        np.testing.assert_array_equal(scores[name], expected[name], err_msg=f"{path} {name}")
    for layer in model.layers:
        if layer.name == "label_map":
            assert not layer.trainable_variables
            np.testing.assert_array_equal(layer.map, np.load(folder / "map.npy"))
    print(path.stem)
