"""Tasks: what the labels of a set mean together, and so what a model answers and learns by."""

import dataclasses
import math

from mmat.errors import InputError

FRAME_HZ = 10.0  # of the frame scores that models return


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model of a label set answers.

    activation: Keras's name of the function that makes scores of frames. loss: Keras's name of the
    loss of clips. low, high: between which values the answers lie.

    >>> str(MULTI_CLASS), str(regression(-3, 3))
    ('multi-class', 'regression -3 3')
    """

    kind: str
    activation: str
    loss: str
    low: float = 0.0
    high: float = 1.0

    @property
    def is_multi_class(self) -> bool:
        """Whether a clip has exactly one of the labels."""
        return self.activation == "softmax"

    @property
    def is_regression(self) -> bool:
        """Whether each label is a quantity of which a clip has a value."""
        return self.kind == "regression"

    @property
    def missing_score(self) -> float:
        """What stands for the score of a clip that lacks what a model needs, such as sound.

        It is 0, which decides nothing, and of a regression the middle of the scale.

        >>> MULTI_CLASS.missing_score, regression(1, 5).missing_score
        (0.0, 3.0)
        """
        return (self.low + self.high) / 2 if self.is_regression else 0.0

    @classmethod
    def from_text(cls, text: str) -> "Task":
        """Read what `str` gives; nothing is multi-label. Raises InputError for another text.

        >>> Task.from_text("regression -3 3").high
        3.0
        """
        name = " ".join(text.split()) or str(MULTI_LABEL)
        kind, *ends = name.split()
        try:
            if kind == "regression":
                low, high = map(float, ends)
            else:
                return {str(task): task for task in (MULTI_LABEL, MULTI_CLASS)}[name]
        except (KeyError, ValueError):
            known = f"{MULTI_LABEL}, {MULTI_CLASS} and 'regression LOW HIGH'"
            raise InputError(f"unknown task {text!r}; there are {known}") from None
        return regression(low, high)

    def __str__(self) -> str:
        # All digits: a value at an end is to stay within it when the ends are read again.
        ends = [repr(end).removesuffix(".0") for end in (self.low, self.high)]
        return " ".join([self.kind, *ends] if self.is_regression else [self.kind])


MULTI_LABEL = Task("multi-label", "sigmoid", "binary_crossentropy")
MULTI_CLASS = Task("multi-class", "softmax", "categorical_crossentropy")


def regression(low: float, high: float) -> Task:
    """Return the task of values between two ends; raises InputError for ends that are none."""
    if not (math.isfinite(high - low) and low < high):
        raise InputError(f"regression: no values lie between {low:g} and {high:g}")
    return Task("regression", "sigmoid", "mean_absolute_error", float(low), float(high))


def task_entry(task: Task) -> str | None:
    """Return how a task stands in records and files: nothing for multi-label, as before tasks.

    >>> task_entry(MULTI_CLASS), task_entry(MULTI_LABEL)
    ('multi-class', None)
    """
    return None if task == MULTI_LABEL else str(task)
