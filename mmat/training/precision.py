"""Which precision a training step is fastest in, by measurement."""

import time

import keras
import numpy as np


def fastest_dtype(seconds: float = 0.5) -> str:
    """Return `mixed_bfloat16` where a convolution's training step is faster in it, else `float32`.

    A CPU without bfloat16 instructions is slower in it by far, so this is measured, not looked up.
    """
    x = np.zeros((4, 100, 32, 32), np.float32)
    rates = {}
    for dtype in ("float32", "mixed_bfloat16"):
        layer = keras.layers.Conv2D(64, 5, padding="same", dtype=dtype)
        model = keras.Sequential([keras.Input(x.shape[1:]), layer])
        model.compile("sgd", "mse")
        target = np.zeros((4, 100, 32, 64), np.float32)
        model.train_on_batch(x, target)
        began, n_steps = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            model.train_on_batch(x, target)
            n_steps += 1
        rates[dtype] = n_steps / (time.perf_counter() - began)
    return max(rates, key=rates.get)
