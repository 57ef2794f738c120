"""Numbers that are none: finding them in weights, and naming the clips they came from."""

import keras
import numpy as np
import tensorflow as tf

_NAMED_AS_DAMAGED = 5


@tf.function(reduce_retracing=True)
def _all_finite(tensors):
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in tensors])


def all_finite(variables: list[keras.Variable]) -> bool:
    """Return whether no variable holds a NaN or an infinity."""
    floating = [x for x in variables if tf.as_dtype(x.dtype).is_floating]
    return bool(_all_finite([tf.convert_to_tensor(x) for x in floating]))


def told_of(batch: tuple[dict, tf.Tensor]) -> str:
    """Return the clips of a batch, those whose own inputs are no numbers first, and what to do.

    >>> level = np.float32([[0.0], [np.inf]])
    >>> told_of(({"ids": np.array([b"a", b"b"]), "level": level}, np.zeros((2, 3))))
    'clips b hold what is no number: leave them out or prepare them again; the batch: a, b'
    """
    inputs, weak_labels = batch
    n_clips = len(weak_labels)
    ids = [str(number) for number in range(n_clips)]
    if "ids" in inputs:
        ids = [clip.decode() for clip in np.asarray(inputs["ids"]).tolist()]
    bad = np.zeros(n_clips, bool)
    for values in (*inputs.values(), weak_labels):
        values = np.asarray(values)
        if values.dtype.kind == "f":
            bad |= ~np.isfinite(values.reshape(n_clips, -1)).all(axis=1)
    named = [clip for clip, is_bad in zip(ids, bad, strict=True) if is_bad]
    more = ", …" * (len(named) > _NAMED_AS_DAMAGED)
    if named:
        what = f"clips {', '.join(named[:_NAMED_AS_DAMAGED])}{more} hold what is no number: "
        what += "leave them out or prepare them again"
    else:
        what = "all that went in was numbers: train anew with a lower learning rate"
    return f"{what}; the batch: {', '.join(ids)}"
