"""The outputs of exports, in a process that can import nothing of mmat, Kapre and TF-Hub.

Arguments: for each export its folder, the inputs (.npz) and where the outputs go (.npz).
"""

import sys

for name in ("mmat", "kapre", "tensorflow_hub", "tensorflow_io"):
    sys.modules[name] = None

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

for folder, inputs_npz, outputs_npz in zip(*[iter(sys.argv[1:])] * 3, strict=True):
    model = tf.saved_model.load(folder)
    inputs = {name: tf.constant(x) for name, x in np.load(inputs_npz).items()}
    wav = inputs.pop("wav").numpy().tobytes()
    facts = {"fact_" + name: x.numpy() for name, x in model.signatures["labels"]().items()}
    facts |= {name: np.array(facts[name]).astype(str) for name in ("fact_labels", "fact_task")}
    scores = {name: x.numpy() for name, x in model.signatures["serving_default"](**inputs).items()}
    wav_scores = {}
    if "tag_wav" in model.signatures:
        tag_wav = model.signatures["tag_wav"]
        wav_scores = {"wav_" + name: x.numpy() for name, x in tag_wav(wav=tf.constant(wav)).items()}
        try:
            tag_wav(wav=tf.constant(wav[:99]))
        except Exception as error:
            wav_scores["wav_refusal"] = str(error)
    np.savez(outputs_npz, **facts, **scores, **wav_scores)
