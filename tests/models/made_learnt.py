"""Taggers of `mmat.models.learnt` whose every weight counts, as after learning."""

import numpy as np

from mmat.models.learnt import Learnable


def moved(models: Learnable, seed: int = 0) -> Learnable:
    """Move the weights of models from where they start, by chance, and return the models."""
    rng = np.random.default_rng(seed)
    for branch in models.branches.values():
        branch.set_weights([x + rng.normal(0, 0.1, x.shape) for x in branch.get_weights()])
    if models.fusion is not None:
        models.fusion.set_weights([np.array([0.7, 1.2]), np.array(-0.3)])
    return models
