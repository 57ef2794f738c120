"""How far labels move a branch from its names: weights, ridges and logits out of fold, in NumPy.

A branch is that of `mmat.models.learnt`: a clip's logits are linear in the weights of its tiers, so
these are the one minimum of a weighted cross-entropy plus, of each tier, `ridge / 2` times the sum
of its squared weights. An infinite ridge holds a tier at 0. Clips of one source say the same thing
again: `clip_weights` lets a source count once for each of its labels, so that a ridge means the
same for ten recordings as for ten thousand clips of them.

How far a tier may go is chosen by cross-validation over source groups (`choose_ridges`). It starts
at `DEFAULT_RIDGES`. Another ridge is taken where its loss out of fold, after calibration, is lower
by more than one standard error over groups, and one nearer to the names by more than two, since
folds have fewer sources to learn from than the whole: they make learning look worse than it is.
"""

import collections
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special

from mmat.labels import Task
from mmat.lists.splits import group_folds

INFINITY = float("inf")
BIAS_RIDGE = 1e-3
CALIBRATION_PULL = 1.0  # how strongly calibration is held at the logits as they are
SLOPE_RIDGES = 4.0  # a class's slope is held this much more than its offset
FOLD_TOLERANCE = 1e-6  # losses of ridges differ by far more
MOST_EVALUATIONS = 300  # steps of the optimizer
FEWEST_GROUPS = 10  # from which on cross-validation may lead back to the names
LARGEST_LOGIT = 20.0
HELD_OUT_LOGIT = -30.0  # of a class that the fold did not learn, among those that exclude it


@dataclasses.dataclass(frozen=True)
class Ridges:
    """How strongly each tier is held at 0: the weights of all classes, a class's own, a residual.

    >>> dataclasses.astuple(Ridges())
    (0.1, 10.0, 0.03)
    """

    shared: float = 0.1
    own: float = 10.0
    residual: float = 0.03


DEFAULT_RIDGES = Ridges()
# Of each tier from the names on; the default is among them.
GRID = {
    "shared": (INFINITY, 1.0, 0.1),
    "own": (INFINITY, 10.0, 1.0),
    "residual": (INFINITY, 0.1, 0.03, 0.01, 0.003, 0.001),
}


@dataclasses.dataclass(frozen=True)
class Readings:
    """What a branch reads of clips, and their truth.

    statistics: float `(clips, classes, 5)` of `EvidenceStatistics`; pooled: `(clips, size)`, with
    size 0 where there are no embeddings; truth: float of 0 and 1 `(clips, classes)`; groups: the
    names of each clip's source groups.
    """

    statistics: np.ndarray
    pooled: np.ndarray
    truth: np.ndarray
    groups: Sequence[tuple[str, ...]]

    def rows(self, rows: np.ndarray) -> "Readings":
        """Return some of the clips."""
        groups = [self.groups[row] for row in rows]
        return Readings(self.statistics[rows], self.pooled[rows], self.truth[rows], groups)


@dataclasses.dataclass(frozen=True)
class Weights:
    """The weights of `mmat.models.learnt.NamesLogits`, by the names that they have there."""

    shared: np.ndarray
    bias: float
    offset: np.ndarray
    slope: np.ndarray
    kernel: np.ndarray
    scale: float = 1.0

    def logits(self, statistics: np.ndarray, scaled: np.ndarray) -> np.ndarray:
        """Return logits `(clips, classes)`; scaled: as `Embeddings.scaled` gives them."""
        logits = (self.scale + self.slope) * statistics[..., 0] + self.bias + self.offset
        return logits + statistics[..., 1:] @ self.shared + scaled @ self.kernel

    def calibrated(self, scale: float, bias: float) -> "Weights":
        """Return the weights of `scale · logit + bias`."""
        scaled = {
            name: scale * value for name, value in vars(self).items() if name not in ("bias",)
        }
        return Weights(**scaled, bias=scale * self.bias + bias)


def clip_weights(truth: np.ndarray, groups: Sequence[Sequence[str]]) -> np.ndarray:
    """Return what each clip counts: float64 `(clips,)`, so that a source counts once a label.

    A clip counts one over the number of clips that share a source group and a label with it (or
    have no label either), by the pair that is shared most.

    >>> clip_weights(np.eye(2)[[0, 0, 1]], [["rex"], ["rex"], ["rex"]]).tolist()
    [0.5, 0.5, 1.0]
    """
    pairs = []
    for labels, own in zip(truth > 0, groups, strict=True):
        present = np.flatnonzero(labels).tolist() or [-1]
        pairs.append({(group, label) for group in own for label in present})
    count = collections.Counter(pair for own in pairs for pair in own)
    return np.array([1 / max((count[pair] for pair in own), default=1) for own in pairs])


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """Pooled embeddings, centred, scaled to a mean square length of 1, and in fewer directions.

    Where there are fewer clips than numbers in an embedding, clips lie in as many directions as
    there are clips; weights in any other stay 0. center `(size,)`; spread; basis `(size,
    directions)`, None where none is left out.
    """

    center: np.ndarray
    spread: float
    basis: np.ndarray | None

    @classmethod
    def of(cls, pooled: np.ndarray, weights: np.ndarray) -> "Embeddings":
        """Learn the scale from clips and what each counts."""
        n_clips, size = pooled.shape
        if size == 0 or n_clips == 0:
            return cls(np.zeros(size), 1.0, None)
        pooled = np.asarray(pooled, np.float32)
        center = np.average(pooled, axis=0, weights=weights)
        square = np.average(np.square(pooled - center).sum(axis=1), weights=weights)
        spread = float(np.sqrt(square)) or 1.0
        if n_clips > size:
            return cls(center, spread, None)
        scaled = (pooled - center).astype(np.float64) / spread
        values, vectors = scipy.linalg.eigh(scaled @ scaled.T)
        kept = values > 1e-8 * max(values[-1], 1e-300)
        return cls(center, spread, scaled.T @ (vectors[:, kept] / np.sqrt(values[kept])))

    def scaled(self, pooled: np.ndarray) -> np.ndarray:
        """Return embeddings `(clips, directions)`."""
        centred = (np.asarray(pooled, np.float32) - self.center.astype(np.float32)) / self.spread
        return centred if self.basis is None else centred.astype(np.float64) @ self.basis

    def unscaled(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel `(size, classes)` for embeddings that are centred and scaled alone."""
        return kernel if self.basis is None else self.basis @ kernel


# A loss: (logits, truth), both (clips, classes) -> (loss of each pair or of each clip, its slope).
Loss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def binary_loss(logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of each clip and label by itself `(clips, classes)`, and its slope.

    >>> binary_loss(np.zeros((1, 1)), np.ones((1, 1)))[0].round(3).tolist()
    [[0.693]]
    """
    return np.logaddexp(0, logits) - truth * logits, 1 / (1 + np.exp(-logits)) - truth


def categorical_loss(logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of labels that exclude each other, at the true one, and its slope.

    >>> categorical_loss(np.zeros((1, 2)), np.array([[1, 0]]))[0].round(3).tolist()
    [[0.693, -0.0]]
    """
    logs = logits - scipy.special.logsumexp(logits, axis=1, keepdims=True)
    return -truth * logs, np.exp(logs) * truth.sum(axis=1, keepdims=True) - truth


def loss_of(task: Task) -> Loss:
    """Return the loss of a task."""
    return categorical_loss if task.is_multi_class else binary_loss


def fit_weights(
    readings: Readings,
    scaled: np.ndarray,
    weights: np.ndarray,
    loss: Loss,
    ridges: Ridges,
    start: np.ndarray | float = 0.0,
    tolerance: float = 1e-8,
) -> Weights:
    """Return the weights of the least ridged loss.

    scaled: the clips' embeddings `(clips, directions)`; weights: what each counts; start: the
    offset that each class is held at, `(classes,)`, instead of 0; tolerance: the share of
    itself by which the loss must still fall.
    """
    truth, untrained = readings.truth, readings.statistics[..., 0]
    others, n_classes, size = readings.statistics[..., 1:], truth.shape[1], scaled.shape[1]
    sizes = [
        others.shape[-1] * np.isfinite(ridges.shared),
        1,
        n_classes * np.isfinite(ridges.own),
        n_classes * np.isfinite(ridges.own),
        size * n_classes * np.isfinite(ridges.residual),
    ]
    ends = np.cumsum(sizes)[:-1]
    strengths = (ridges.shared, BIAS_RIDGE, ridges.own, SLOPE_RIDGES * ridges.own, ridges.residual)
    pulls = np.repeat([x if n else 0.0 for x, n in zip(strengths, sizes, strict=True)], sizes)

    def unpacked(values: np.ndarray) -> Weights:
        shared, bias, offset, slope, kernel = np.split(values, ends)
        own = np.zeros(n_classes)
        return Weights(
            shared if len(shared) else np.zeros(others.shape[-1]),
            float(bias[0]),
            start + (offset if len(offset) else own),
            slope if len(slope) else own,
            kernel.reshape(size, n_classes) if len(kernel) else np.zeros((size, n_classes)),
        )

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        found = unpacked(values)
        losses, slopes = loss(found.logits(readings.statistics, scaled), truth)
        slopes = slopes * weights[:, None]
        parts = (
            lambda: np.einsum("nck,nc->k", others, slopes),
            lambda: [slopes.sum()],
            lambda: slopes.sum(axis=0),
            lambda: (slopes * untrained).sum(axis=0),
            lambda: (scaled.T @ slopes.astype(scaled.dtype)).ravel(),
        )
        gradient = np.concatenate([part() for part, n in zip(parts, sizes, strict=True) if n])
        value = (losses.sum(axis=1) * weights).sum() + (pulls * values**2).sum() / 2
        return value, gradient + pulls * values

    options = {"maxiter": MOST_EVALUATIONS, "ftol": tolerance}
    at_names = np.zeros(sum(sizes))
    found = scipy.optimize.minimize(
        objective, at_names, jac=True, method="L-BFGS-B", options=options
    )
    return unpacked(found.x)


def held_out_logits(
    readings: Readings,
    scaled: np.ndarray,
    task: Task,
    ridges: Ridges,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    start: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Return the logits of clips that a fold held out: float64 `(clips, classes)`, else NaN.

    NaN too is a class without a clip in what the fold learnt; where labels exclude each other it
    is `HELD_OUT_LOGIT`, and a clip whose own class is one of those is NaN as a whole.
    """
    logits = np.full(readings.truth.shape, np.nan)
    for learnt, held_out in folds:
        own = readings.rows(learnt)
        known = own.truth.any(axis=0)
        if not known.any():
            continue
        weights = clip_weights(own.truth, own.groups)
        found = fit_weights(
            own, scaled[learnt], weights, loss_of(task), ridges, start, FOLD_TOLERANCE
        )
        of_fold = found.logits(readings.statistics[held_out], scaled[held_out])
        if task.is_multi_class:
            of_fold[:, ~known] = HELD_OUT_LOGIT
            of_fold[~(readings.truth[held_out] * known).any(axis=1)] = np.nan
        else:
            of_fold[:, ~known] = np.nan
        logits[held_out] = of_fold
    return logits


def calibration(
    logits: np.ndarray, truth: np.ndarray, weights: np.ndarray, loss: Loss
) -> tuple[float, float]:
    """Return the scale and the bias of logits with the least cross-entropy; NaN is left out.

    logits: out of fold, `(clips, classes)`. Both are held a little at 1 and 0, where they stay
    without any logit. The method is Platt's (1999), shared by all classes.

    >>> calibration(np.full((2, 1), np.nan), np.zeros((2, 1)), np.ones(2), binary_loss)
    (1.0, 0.0)
    """
    known = np.isfinite(logits)
    filled, counted = np.where(known, logits, 0.0), known * weights[:, None]

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = values
        losses, slopes = loss(scale * filled + bias, truth)
        slopes = slopes * counted
        value = (losses * counted).sum() + CALIBRATION_PULL * ((scale - 1) ** 2 + 0.1 * bias**2) / 2
        gradient = (
            (slopes * filled).sum() + CALIBRATION_PULL * (scale - 1),
            slopes.sum() + 0.1 * CALIBRATION_PULL * bias,
        )
        return value, np.array(gradient)

    bounds = [(0.05, None), (None, None)]
    found = scipy.optimize.minimize(
        objective, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds
    )
    return float(found.x[0]), float(found.x[1])


def matched_bias(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the bias by which logits foretell as many labels, in all, as are true.

    0 where no label is true, or every one.

    >>> round(matched_bias(np.zeros((4, 1)), np.array([[1], [0], [0], [0]])), 3)
    -1.099
    """
    if not 0 < truth.mean() < 1:
        return 0.0
    furthest = np.abs(logits).max() + LARGEST_LOGIT
    return scipy.optimize.brentq(
        lambda bias: scipy.special.expit(logits + bias).mean() - truth.mean(), -furthest, furthest
    )


def calibrated_losses(
    logits: np.ndarray, truth: np.ndarray, weights: np.ndarray, loss: Loss
) -> np.ndarray:
    """Return each clip's cross-entropy after calibration, over the labels that are not NaN."""
    scale, bias = calibration(logits, truth, weights, loss)
    losses, _ = loss(np.where(np.isfinite(logits), scale * logits + bias, 0.0), truth)
    return np.where(np.isfinite(logits), losses, 0.0).sum(axis=1)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Ridges, the logits that they give out of fold, and the losses that led there.

    losses: by tier, of each ridge of the grid the mean loss out of fold; empty where nothing could
    be held out.
    """

    ridges: Ridges
    logits: np.ndarray
    losses: dict[str, dict[str, float]]


def choose_ridges(
    readings: Readings,
    scaled: np.ndarray,
    task: Task,
    start: np.ndarray | float = 0.0,
    progress: Callable[[], None] = lambda: None,
) -> Choice:
    """Choose how far each tier may go, one after the other, by cross-validation over groups.

    progress: called after every cross-validated ridge.
    """
    folds = group_folds(readings.groups)
    weights = clip_weights(readings.truth, readings.groups)
    chosen, losses, known = DEFAULT_RIDGES, {}, {}

    def logits_of(ridges: Ridges) -> np.ndarray:
        if ridges not in known:
            known[ridges] = held_out_logits(readings, scaled, task, ridges, folds, start)
            progress()
        return known[ridges]

    held_out = np.isfinite(logits_of(chosen)).any(axis=1)
    if held_out.any():
        units = [min(own, default="") for own in readings.groups]
        units = np.unique([unit for unit, yes in zip(units, held_out, strict=True) if yes],
                          return_inverse=True)[1]  # fmt: skip
        for tier, grid in GRID.items():
            tried = [dataclasses.replace(chosen, **{tier: ridge}) for ridge in grid]
            table = np.stack(
                [
                    calibrated_losses(logits_of(each), readings.truth, weights, loss_of(task))
                    for each in tried
                ]
            )[:, held_out]
            place = _moved(table, weights[held_out], units, grid.index(getattr(chosen, tier)))
            chosen = tried[place]
            means = np.average(table, axis=1, weights=weights[held_out])
            losses[tier] = {f"{ridge:g}": float(x) for ridge, x in zip(grid, means, strict=True)}
    return Choice(chosen, logits_of(chosen), losses)


def _moved(table: np.ndarray, weights: np.ndarray, units: np.ndarray, place: int) -> int:
    """Return the place in a grid that its losses `(ridges, clips)` lead to from another."""
    means = np.average(table, axis=1, weights=weights)
    start = place
    if start + 1 < len(table):
        freer = start + 1 + int(means[start + 1 :].argmin())
        gain, error = gain_and_error(table[start] - table[freer], weights, units)
        place = freer if gain > error else place
    if start and units.max() + 1 >= FEWEST_GROUPS:
        nearer = int(means[:start].argmin())
        gain, error = gain_and_error(table[place] - table[nearer], weights, units)
        place = nearer if gain > 2 * error else place
    return place


def gain_and_error(
    differences: np.ndarray, weights: np.ndarray, units: np.ndarray
) -> tuple[float, float]:
    """Return the weighted mean of clips' differences, and its standard error over groups.

    units: the number of each clip's group. With one group the error is infinite.

    >>> gain_and_error(np.array([1.0, 3.0]), np.ones(2), np.array([0, 1]))
    (2.0, 1.0)
    """
    n_units = int(units.max()) + 1
    mean = float(np.average(differences, weights=weights))
    if n_units < 2:
        return mean, INFINITY
    sums = np.bincount(units, (differences - mean) * weights)
    return mean, float(np.sqrt((sums**2).sum() * n_units / (n_units - 1)) / weights.sum())
