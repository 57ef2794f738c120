"""Labels that are asked for together compete: a label counts as far as no rival is stronger.

Networks give half a thought to whatever resembles what they hear. Which labels are no rivals,
`mmat.models.kin` says.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from mmat.models.kin import N_RIVALS, rivals_of
from mmat.models.scores import ScoreLayer

YIELDED_ODDS = 0.05  # of speech beside a laugh or a scream; chosen on validation


@keras.saving.register_keras_serializable(package="mmat")
class Competing(ScoreLayer):
    """Labels that are asked for together compete: `x · (x / the strongest rival) ** power`.

    `(batch, time, classes)` in [0, 1] to the same shape. What no rival exceeds keeps its score, and
    so does a label that is asked for alone; a weaker one must be the surer of itself, since
    networks give half a thought to whatever resembles what they hear. Whatever the power, `x · x`
    is left. kin: pairs of labels by their indices that are no rivals, such as
    `mmat.models.kin.kin_pairs` gives. yields: labels that are heard far too easily, and labels to
    which they yield, by their indices: where the odds of one of the first times YIELDED_ODDS are
    less than those of the strongest of the others, they are its score.

    >>> Competing()(np.float32([[[0.5, 0.25, 0.0]]])).numpy().tolist()
    [[[0.5, 0.125, 0.0]]]
    >>> Competing(kin=[(0, 1)])(np.float32([[[0.5, 0.25, 0.125]]])).numpy().tolist()
    [[[0.5, 0.25, 0.03125]]]
    >>> yields = Competing(kin=[(0, 1)], yields=([0], [1]))
    >>> (yields(np.float32([[[0.5, 0.25]]])) < 0.05).numpy().tolist()
    [[[True, False]]]
    """

    def __init__(
        self,
        power: float = 1.0,
        kin: Sequence[tuple[int, int]] = (),
        yields: tuple[Sequence[int], Sequence[int]] = ((), ()),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.power = power
        self.kin = [list(pair) for pair in kin]
        self.yields = [list(labels) for labels in yields]

    def call(self, scores):
        x = competed(scores, strongest_rival(scores, self.kin), self.power)
        if not all(self.yields):
            return x
        return yielding(x, *(np.isin(np.arange(x.shape[-1]), labels) for labels in self.yields))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {
            "power": self.power,
            "kin": self.kin,
            "yields": self.yields,
        }


def competed(scores, rival, power):
    """Return what competition leaves of scores, see `Competing`; rival: the strongest's score."""
    return scores * ops.maximum(ops.power(share_of_score(scores, rival), power), scores)


def yielding(scores, is_broad, is_narrow):
    """Return scores where broad labels yield to the strongest of the narrow, see `Competing`.

    scores: `(…, classes)`; is_broad, is_narrow: bool `(classes,)`.
    """
    narrow = ops.max(ops.where(is_narrow, scores, 0.0), axis=-1, keepdims=True)
    odds = scores * YIELDED_ODDS  # times what is left to 1
    yielded = odds / (1.0 - scores + odds)
    return ops.where(ops.logical_and(is_broad, yielded < narrow), yielded, scores)


def share_of_rival(scores, kin: Sequence[Sequence[int]] = ()):
    """Return how much of its strongest rival's score each label has, 1 at most: `(…, classes)`.

    >>> share_of_rival(np.float32([0.5, 0.25, 0.0])).numpy().tolist()
    [1.0, 0.5, 0.0]
    """
    return share_of_score(scores, strongest_rival(scores, kin))


def share_of_score(scores, rival):
    """Return how much of a rival's score each label has, 1 at most, and 1 where the rival has 0."""
    shares = ops.minimum(scores / ops.where(rival > 0, rival, 1.0), 1.0)
    return ops.where(rival > 0, shares, 1.0)


def strongest_rival(scores, kin: Sequence[Sequence[int]] = ()):
    """Return of each label the highest score of all that are not its kin: `(…, classes)`.

    scores: `(…, classes)`; kin: pairs of labels by their indices. Rivals are looked for among the
    N_RIVALS strongest; where all of these are kin, there is none: 0. Without any kin the highest of
    all is returned, `(…, 1)`.

    >>> strongest_rival(np.float32([0.5, 0.25, 0.125]), kin=[(0, 1)]).numpy().tolist()
    [0.125, 0.125, 0.5]
    """
    if not len(kin):
        return ops.max(scores, axis=-1, keepdims=True)
    return strongest_of(scores, rivals_of(kin, scores.shape[-1]))


def strongest_of(scores, rivals):
    """Return of each label the highest score of its rivals: `(…, classes)`.

    scores: of that shape; rivals: see `mmat.models.kin.rivals_of`. Of labels that only the graph
    can count there are N_RIVALS at least.
    """
    n_classes = scores.shape[-1]
    n_strongest = N_RIVALS if n_classes is None else min(N_RIVALS, n_classes)
    highest, labels = ops.top_k(scores, n_strongest)  # (…, rivals)
    return ops.max(ops.take(rivals, labels, axis=0) * ops.expand_dims(highest, -1), axis=-2)
