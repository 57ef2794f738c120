"""How long and how fast a model learns, and what became of it."""

import dataclasses

from mmat.files import InputError

LARGE_LIST = 10_000  # training clips, from which the authors' recipe is worth its 2.5 million


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained; the defaults are those of the authors of arXiv 1712.09680.

    batch_size: clips a step, over all devices. steps_per_checkpoint: after so many steps the model
    is validated and saved. patience: after so many checkpoints without a better validation loss
    the learning rate is halved. keep: how many of the last checkpoints stay on disk, beside the
    best. seed: of the order of the clips. Raises InputError for numbers that make no training.

    >>> recipe = Recipe(checkpoints=25)
    >>> recipe.steps, recipe.clips
    (12500, 1250000)
    """

    batch_size: int = 100
    learning_rate: float = 3e-4
    steps_per_checkpoint: int = 500
    checkpoints: int = 50
    patience: int = 3
    keep: int = 3
    seed: int = 0

    def __post_init__(self):
        for name in ("batch_size", "steps_per_checkpoint", "checkpoints", "patience", "keep"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                what = "it must be a whole number from 1 up"
                raise InputError(f"recipe: {name} is {value!r}; {what}")
        if not isinstance(self.seed, int):
            raise InputError(f"recipe: seed is {self.seed!r}; it must be a whole number")
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"recipe: learning_rate is {self.learning_rate!r}; it must be above 0")

    @classmethod
    def for_list(cls, n_clips: int) -> "Recipe":
        """Return the recipe for so many training clips: the authors' for `LARGE_LIST` and more.

        With fewer it is ours: small batches at a higher rate, 25 checkpoints, one a pass over the
        clips but not under 10 steps.

        >>> Recipe.for_list(51_000) == Recipe()
        True
        >>> Recipe.for_list(400).steps_per_checkpoint, Recipe.for_list(400).clips
        (25, 10000)
        """
        if n_clips >= LARGE_LIST:
            return cls()
        steps = max(-(-n_clips // 16), 10)
        return cls(16, learning_rate=1e-3, steps_per_checkpoint=steps, checkpoints=25)

    @property
    def steps(self) -> int:
        return self.steps_per_checkpoint * self.checkpoints

    @property
    def clips(self) -> int:
        return self.steps * self.batch_size


@dataclasses.dataclass
class History:
    """What a training came to, checkpoint by checkpoint.

    monitor: the figure that says which checkpoint is best; of those that end in `loss` the
    smallest is, of others the largest. checkpoints: for each its `step`, the mean training `loss`
    since the one before, the `learning_rate`, and the figures of validation.

    >>> history = History("val_f1", [{"step": 5, "val_f1": 0.5}, {"step": 10, "val_f1": 0.25}])
    >>> history.best["step"]
    5
    """

    monitor: str
    checkpoints: list[dict] = dataclasses.field(default_factory=list)

    @property
    def best(self) -> dict | None:
        """The best checkpoint, of equals the first; None before there is one."""
        return self.best_by(self.monitor)

    def best_by(self, figure: str) -> dict | None:
        """The checkpoint that is best by a figure; one whose figure is NaN never is."""
        sign = 1.0 if figure.endswith("loss") else -1.0
        numbered = [each for each in self.checkpoints if each[figure] == each[figure]]
        return min(numbered, key=lambda each: sign * each[figure], default=None)
