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

Of large corpora ridges are chosen on `MOST_CHOSEN_ON` clips, drawn by a fixed seed; a ridge means
the same for all clips. Embeddings are seen in at most `MOST_DIRECTIONS` principal directions. So
time and memory grow with the number of clips by little more than one cross-validation.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special

from mmat.labels import Task
from mmat.lists.splits import group_folds
from mmat.models.learnt import SLOPE_RIDGES

INFINITY = float("inf")
BIAS_RIDGE = 1e-3
CALIBRATION_PULL = 1.0  # how strongly calibration is held at the logits as they are

# Length of the gradient where the optimizer stops, times the root of what all clips count; scores
# are then right to 1e-3, mostly to 1e-4.
GRADIENT, MOST_STEPS = 1e-4, 100
FEWEST_GROUPS = 10  # from which on cross-validation may lead back to the names
LARGEST_LOGIT = 20.0
MOST_CHOSEN_ON = 5000  # clips
MOST_DIRECTIONS = 1024  # above as many clips embeddings are float32 in them
CLIPS_AT_ONCE = 4096
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

    statistics: float `(clips, classes, 5)` of `EvidenceStatistics`; truth: float of 0 and 1
    `(clips, classes)`; groups: the names of each clip's source groups. Embeddings go beside it.
    """

    statistics: np.ndarray
    truth: np.ndarray
    groups: Sequence[tuple[str, ...]]

    def rows(self, rows: np.ndarray) -> "Readings":
        """Return some of the clips."""
        groups = [self.groups[row] for row in rows]
        return Readings(self.statistics[rows], self.truth[rows], groups)


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
        return (
            logits + statistics[..., 1:] @ self.shared + scaled @ self.kernel.astype(scaled.dtype)
        )

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
    """Pooled embeddings, centred, scaled to a mean square length of 1, in principal directions.

    There are as many directions as clips or numbers in an embedding, and `MOST_DIRECTIONS` at most,
    the strongest; weights in any other stay 0. center `(size,)`; basis `(size, directions)`.
    """

    center: np.ndarray
    spread: float
    basis: np.ndarray

    @classmethod
    def of(cls, pooled: np.ndarray, weights: np.ndarray) -> "Embeddings":
        """Learn the scale from clips `(clips, size)` and what each counts, the basis from both."""
        n_clips, size = pooled.shape
        if size == 0 or n_clips == 0:
            return cls(np.zeros(size), 1.0, np.eye(size))
        center = sum(counted @ part for part, counted in _blocks(pooled, weights)) / weights.sum()
        square = sum(
            counted @ np.square(part - center).sum(axis=1)
            for part, counted in _blocks(pooled, weights)
        )
        spread = float(np.sqrt(square / weights.sum())) or 1.0
        dtype = np.float64 if n_clips <= MOST_DIRECTIONS else np.float32
        whole = cls(center, spread, np.eye(size, dtype=dtype))
        if n_clips > size:
            parts = (whole._centred(part) for part, _ in _blocks(pooled, weights))
            values, vectors = _strongest(sum(part.T @ part for part in parts))
            return dataclasses.replace(whole, basis=vectors)
        scaled = whole._centred(pooled)
        values, vectors = _strongest(scaled @ scaled.T)
        return dataclasses.replace(whole, basis=scaled.T @ (vectors / np.sqrt(values)))

    def scaled(self, pooled: np.ndarray) -> np.ndarray:
        """Return embeddings `(clips, directions)`."""
        found = np.empty((len(pooled), self.basis.shape[1]), self.basis.dtype)
        for start in range(0, len(pooled), CLIPS_AT_ONCE):
            rows = slice(start, start + CLIPS_AT_ONCE)
            found[rows] = self._centred(pooled[rows]) @ self.basis
        return found

    def unscaled(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel `(size, classes)` for embeddings that are centred and scaled alone."""
        return self.basis @ kernel

    def _centred(self, pooled: np.ndarray) -> np.ndarray:
        centred = np.asarray(pooled, np.float32) - self.center.astype(np.float32)
        return centred.astype(self.basis.dtype) / self.basis.dtype.type(self.spread)


def _blocks(pooled: np.ndarray, weights: np.ndarray):
    """Some clips at a time, in float32, and what they count."""
    for start in range(0, len(pooled), CLIPS_AT_ONCE):
        rows = slice(start, start + CLIPS_AT_ONCE)
        yield np.asarray(pooled[rows], np.float32), weights[rows]


def _strongest(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of a square matrix, and its eigenvectors `(size, at most 1024)`."""
    first = max(0, len(products) - MOST_DIRECTIONS)
    values, vectors = scipy.linalg.eigh(
        products, subset_by_index=(first, len(products) - 1), driver="evr"
    )
    kept = values > 1e-8 * max(values[-1], 1e-300)
    return values[kept], vectors[:, kept]


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


def curvature(probabilities: np.ndarray, terms: np.ndarray, task: Task) -> np.ndarray:
    """Return by how much the slopes of a task's loss change where the logits change by terms."""
    bent = probabilities * terms
    if task.is_multi_class:
        return bent - probabilities * bent.sum(axis=1, keepdims=True)
    return bent - probabilities * bent


@dataclasses.dataclass(frozen=True)
class FreeTiers:
    """The weights that finite ridges let go, as one vector, of which logits are linear."""

    statistics: np.ndarray
    scaled: np.ndarray
    ridges: Ridges

    @property
    def sizes(self) -> list[int]:
        """How many weights are free: shared, bias, offsets, slopes, residual."""
        _, n_classes, n_statistics = self.statistics.shape
        shared, own, residual = (np.isfinite(x) for x in dataclasses.astuple(self.ridges))
        own = n_classes * own
        return [
            (n_statistics - 1) * shared,
            1,
            own,
            own,
            n_classes * self.scaled.shape[1] * residual,
        ]

    @property
    def pulls(self) -> np.ndarray:
        """The ridge of each weight."""
        own = self.ridges.own
        strengths = (self.ridges.shared, BIAS_RIDGE, own, SLOPE_RIDGES * own, self.ridges.residual)
        return np.concatenate([np.full(n, x) for x, n in zip(strengths, self.sizes, strict=True)])

    def weights(self, values: np.ndarray, scale: float = 1.0) -> Weights:
        """Return the vector as weights; those that are not free are 0."""
        _, n_classes, n_statistics = self.statistics.shape
        shapes = ((n_statistics - 1,), (1,), (n_classes,), (n_classes,),
                  (self.scaled.shape[1], n_classes))  # fmt: skip
        parts = np.split(values, np.cumsum(self.sizes)[:-1])
        shared, (bias,), offset, slope, kernel = (
            part.reshape(shape) if part.size else np.zeros(shape)
            for part, shape in zip(parts, shapes, strict=True)
        )
        return Weights(shared, float(bias), offset, slope, kernel, scale)

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Return what the vector adds to the logits of the names: `(clips, classes)`."""
        return self.weights(values, scale=0.0).logits(self.statistics, self.scaled)

    def gradient(self, slopes: np.ndarray, power: int = 1) -> np.ndarray:
        """Return the slopes of logits `(clips, classes)` as those of the vector.

        power: of the factors by which logits depend on it; 2 for the diagonal of the curvature.
        """
        statistics, scaled = self.statistics, self.scaled
        if power != 1:
            statistics, scaled = statistics**power, scaled**power
        parts = (
            lambda: np.einsum("nck,nc->k", statistics[..., 1:], slopes),
            lambda: [slopes.sum()],
            lambda: slopes.sum(axis=0),
            lambda: (slopes * statistics[..., 0]).sum(axis=0),
            lambda: (scaled.T @ slopes.astype(scaled.dtype)).ravel(),
        )
        return np.concatenate([part() for part, n in zip(parts, self.sizes, strict=True) if n])


def fit_weights(
    readings: Readings,
    scaled: np.ndarray,
    weights: np.ndarray,
    task: Task,
    ridges: Ridges,
    start: np.ndarray | float = 0.0,
) -> Weights:
    """Return the weights of the least ridged loss, by Newton's method within a trust region.

    scaled: the clips' embeddings `(clips, directions)`; weights: what each counts; start: the
    offset that each class is held at, `(classes,)`, instead of 0. The method sees each weight in
    units of one over the root of its curvature at the start: embeddings vary a thousand times more
    in some directions than in others.
    """
    tiers, truth, loss = (
        FreeTiers(readings.statistics, scaled, ridges),
        readings.truth,
        loss_of(task),
    )
    names, counted, pulls = readings.statistics[..., 0] + start, weights[:, None], tiers.pulls
    at_names = np.zeros(len(pulls))
    _, steep = loss(names, truth)
    bent = counted * np.abs(steep) * (1 - np.abs(steep))
    units = 1 / np.sqrt(tiers.gradient(bent, power=2) + pulls)

    @functools.lru_cache(maxsize=2)
    def at(place: bytes) -> tuple[np.ndarray, np.ndarray]:
        return loss(names + tiers.logits(units * np.frombuffer(place)), truth)

    def objective(place: np.ndarray) -> tuple[float, np.ndarray]:
        losses, slopes = at(place.tobytes())
        pulled = pulls * units * place
        value = (losses * counted).sum() + pulled @ (units * place) / 2
        return value, units * (tiers.gradient(slopes * counted) + pulled)

    def curved(place: np.ndarray, step: np.ndarray) -> np.ndarray:
        _, slopes = at(place.tobytes())
        bent = curvature(slopes + truth, tiers.logits(units * step), task)
        return units * (tiers.gradient(bent * counted) + pulls * units * step)

    options = {"gtol": GRADIENT * np.sqrt(weights.sum()), "maxiter": MOST_STEPS}
    found = scipy.optimize.minimize(
        objective, at_names, jac=True, hessp=curved, method="trust-ncg", options=options
    )
    fitted = tiers.weights(units * found.x)
    return dataclasses.replace(fitted, offset=start + fitted.offset)


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
        found = fit_weights(own, scaled[learnt], weights, task, ridges, start)
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
    some, some_scaled = readings, scaled
    if len(scaled) > MOST_CHOSEN_ON:
        rng = np.random.default_rng(0)
        rows = np.sort(rng.choice(len(scaled), MOST_CHOSEN_ON, replace=False))
        some, some_scaled = readings.rows(rows), scaled[rows]
    folds, weights = group_folds(some.groups), clip_weights(some.truth, some.groups)
    chosen, losses, known = DEFAULT_RIDGES, {}, {}

    def logits_of(ridges: Ridges) -> np.ndarray:
        if ridges not in known:
            known[ridges] = held_out_logits(some, some_scaled, task, ridges, folds, start)
            progress()
        return known[ridges]

    held_out = np.isfinite(logits_of(chosen)).any(axis=1)
    if held_out.any():
        units = [min(own, default="") for own in some.groups]
        units = np.unique([unit for unit, yes in zip(units, held_out, strict=True) if yes],
                          return_inverse=True)[1]  # fmt: skip
        for tier, grid in GRID.items():
            tried = [dataclasses.replace(chosen, **{tier: ridge}) for ridge in grid]
            table = np.stack(
                [
                    calibrated_losses(logits_of(each), some.truth, weights, loss_of(task))
                    for each in tried
                ]
            )[:, held_out]
            place = _moved(table, weights[held_out], units, grid.index(getattr(chosen, tier)))
            chosen = tried[place]
            means = np.average(table, axis=1, weights=weights[held_out])
            losses[tier] = {f"{ridge:g}": float(x) for ridge, x in zip(grid, means, strict=True)}
    logits = logits_of(chosen)
    if some is not readings:
        folds = group_folds(readings.groups)
        logits = held_out_logits(readings, scaled, task, chosen, folds, start)
    return Choice(chosen, logits, losses)


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
