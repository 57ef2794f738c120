"""What every metric requires of its input: shapes that fit, binary truth, finite scores."""

import importlib
import types
import warnings

import numpy as np

from mmat.files import InputError


def as_decisions(values, what: str) -> np.ndarray:
    """Return `values` as bool `(clips, classes)`; raises InputError if it is anything else.

    >>> as_decisions([[0, 1]], "truth")
    array([[False,  True]])
    """
    array = np.asarray(values)
    if array.ndim != 2:
        raise InputError(f"{what}: {array.ndim} axes, where (clips, classes) has two")
    if array.dtype != bool:
        if array.dtype.kind not in "iuf" or not np.isin(array, (0, 1)).all():
            raise InputError(f"{what}: only yes and no (True and False, or 1 and 0) may stand here")
        array = array.astype(bool)
    return array


def as_decision_pair(truth, decided) -> tuple[np.ndarray, np.ndarray]:
    """Return both as bool `(clips, classes)` of one shape; raises InputError if they are not."""
    truth, decided = as_decisions(truth, "truth"), as_decisions(decided, "decisions")
    same_shape(decided, "decisions", truth.shape)
    return truth, decided


def as_one_class(truth, scores) -> tuple[np.ndarray, np.ndarray]:
    """Return one class's truth, bool, and scores, both `(clips,)`; raises InputError if not."""
    truth = as_decisions(np.asarray(truth)[..., np.newaxis], "truth")[:, 0]
    return truth, as_scores(scores, "scores", truth.shape)


def as_scores(values, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return `values` as an array of finite numbers of that shape; raises InputError if not."""
    array = np.asarray(values)
    same_shape(array, what, shape)
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise InputError(f"{what}: only finite numbers may stand here; look for NaN in the model")
    return array


def as_probabilities(values, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return `values` as float32 probabilities of that shape; raises InputError if not."""
    array = as_scores(values, what, shape).astype(np.float32)
    if array.size and (array.min() < 0 or array.max() > 1):
        raise InputError(f"{what}: probabilities lie between 0 and 1; apply the sigmoid first")
    return array


def same_shape(array: np.ndarray, what: str, shape: tuple[int, ...]) -> None:
    """Raise InputError unless `array` has that shape."""
    if array.shape != tuple(shape):
        raise InputError(f"{what}: the shape is {array.shape}, where the truth asks for {shape}")


def warn_if_empty(truth: np.ndarray) -> None:
    """Warn where there is nothing to find: no clips, or no clip that has a label."""
    if not truth.size:
        warnings.warn("the truth holds no clips; every figure is 0", stacklevel=3)
    elif not truth.any():
        warnings.warn("no clip of the truth has a label; every figure is 0", stacklevel=3)


def quiet_import(name: str, what: str, version: str) -> types.ModuleType:
    """Import a package of the field without what it and its dependencies warn of at import.

    what: what needs it, for the InputError that is raised where it is missing.
    """
    with warnings.catch_warnings():
        # Escapes in docstrings, and in dcase_util the end of pkg_resources.
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"{what}: {name} is missing ({error}); pip install {name}=={version}"
            ) from error
