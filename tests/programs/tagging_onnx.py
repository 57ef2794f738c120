"""The outputs of ONNX files, in a process that can import neither TensorFlow nor mmat.

Arguments: for each file its path, waveforms (.npz) and where the outputs go (.npz).
"""

import json
import sys

for name in ("mmat", "tensorflow", "keras", "tf2onnx", "onnx"):
    sys.modules[name] = None

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402

for path, inputs_npz, outputs_npz in zip(*[iter(sys.argv[1:])] * 3, strict=True):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given, outputs = {}, {}
    for taken in session.get_inputs():
        if taken.name.startswith("image_"):
            given[taken.name] = np.zeros((1, 1, taken.shape[-1]), np.float32)
        if taken.name.startswith("has_"):
            given[taken.name] = np.array([taken.name == "has_audio"])
    names = [output.name for output in session.get_outputs()]
    for key, waveform in np.load(inputs_npz).items():
        found = session.run(names, given | {"waveform": waveform})
        outputs |= {f"{key} {name}": x for name, x in zip(names, found, strict=True)}
    facts = session.get_modelmeta().custom_metadata_map
    np.savez(outputs_npz, facts=json.dumps(facts), **outputs)
