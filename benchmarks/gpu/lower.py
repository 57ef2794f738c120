"""Write a whole training step of the authors' net as XLA's HLO, for a machine without TensorFlow.

    python -m benchmarks.gpu.lower --batch 100 --dtype float32 step

The step is mmat's own graph: waveform, log-mel, CRNN, loss, gradients, Adam. TensorFlow lowers it
on the CPU, no GPU is needed. It writes `step.hlo`, the program, and `step.npz`, its parameters in
their order: a batch of noise, untrained weights, Adam's moments. Copy both and `run.py` to the
other machine:

    python run.py step --steps 40
"""

import argparse
import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from mmat.models.audio import audio_branch

N_CLASSES, N_SAMPLES = 17, 160_000
BETA_1, BETA_2, RATE, EPSILON = 0.9, 0.999, 3e-4, 1e-7  # the authors' Adam


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=100, help="clips of 10 s (default 100)")
    parser.add_argument("--dtype", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("out", help="the files' name without its ending")
    arguments = parser.parse_args(words)
    hlo, parameters = lowered(arguments.batch, arguments.dtype)
    pathlib.Path(f"{arguments.out}.hlo").write_bytes(hlo)
    np.savez(f"{arguments.out}.npz", **{f"p{i}": values for i, values in enumerate(parameters)})
    print(f"wrote {arguments.out}.hlo ({len(hlo):,} bytes) and {arguments.out}.npz")


def lowered(batch_size: int, dtype: str) -> tuple[bytes, list[np.ndarray]]:
    """Return the step's serialized HLO and its parameters.

    Parameters: waveform float32 `(batch, samples, 1)`, weak labels float32 `(batch, classes)`, the
    step's number, the weights, Adam's first and second moments, then what stays as it is. The
    program returns the loss, the weights and both moments.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, (batch_size, N_SAMPLES, 1)).astype(np.float32)
    weak_labels = (rng.random((batch_size, N_CLASSES)) < 0.1).astype(np.float32)
    model = audio_branch(N_CLASSES, dtype=dtype, adapt=[waveform[:8]])
    step = tf.function(stateless_step(model), jit_compile=True, autograph=False)
    weights = [tf.constant(w.numpy()) for w in model.trainable_variables]
    zeros = [tf.zeros_like(w) for w in weights]
    given = (tf.constant(waveform), tf.constant(weak_labels), tf.constant(1.0))
    given += (weights, zeros, zeros)
    hlo = step.experimental_get_compiler_ir(*given)(stage="hlo_serialized", platform_name="CPU")
    constants = step.get_concrete_function(*given).captured_inputs
    return hlo, [x.numpy() for x in [*tf.nest.flatten(given), *constants]]


def stateless_step(model: keras.Model):
    """Return a training step that gives back what it changes, and changes nothing itself."""
    loss_of = keras.losses.BinaryCrossentropy()
    others = [tf.constant(w.numpy()) for w in model.non_trainable_variables]

    def step(waveform, weak_labels, number, weights, means, squares):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            inputs = {"waveform": waveform}
            outputs, _ = model.stateless_call(weights, others, inputs, training=True)
            loss = loss_of(weak_labels, tf.cast(outputs["clip"], tf.float32))
        gradients = tape.gradient(loss, weights)
        means = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(means, gradients, strict=True)]
        squares = [
            BETA_2 * s + (1 - BETA_2) * g * g for s, g in zip(squares, gradients, strict=True)
        ]
        rate = RATE * tf.sqrt(1 - BETA_2**number) / (1 - BETA_1**number)
        moved = zip(weights, means, squares, strict=True)
        weights = [w - rate * m / (tf.sqrt(s) + EPSILON) for w, m, s in moved]
        return [loss, *weights, *means, *squares]

    return step


if __name__ == "__main__":
    main()
