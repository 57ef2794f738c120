"""Scores in [0, 1] of clips `(batch, classes)` and of frames `(batch, time, classes)` alike.

The layers that take them compute in float32, whatever the policy; odds are added as logarithms.
"""

from keras import layers, ops

_MARGIN = 1e-6  # probabilities are kept this far from 0 and 1 before log-odds are taken


class ScoreLayer(layers.Layer):
    """What layers of scores share: float32 under any policy, and the shape of the first input."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


def log_odds(probabilities):
    """Return `log(p / (1 - p))` of probabilities, finite at 0 and 1.

    >>> float(log_odds(0.5))
    0.0
    """
    p = ops.clip(ops.cast(probabilities, "float32"), _MARGIN, 1.0 - _MARGIN)
    return ops.log(p) - ops.log1p(-p)


def shifted(scores, shift):
    """Return scores in [0, 1] whose log-odds are shifted; 0 stays 0, and 1 stays 1.

    >>> shifted(ops.array([0.0, 0.5]), ops.log(3.0)).numpy().round(6).tolist()
    [0.0, 0.75]
    """
    odds = scores * ops.exp(shift)  # times what is left to 1, of which there may be nothing
    return odds / (1.0 - scores + odds)
