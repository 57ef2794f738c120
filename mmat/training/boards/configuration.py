"""What a training was called with: as a table to read, and as hyper-parameters to compare."""

import tensorflow as tf

from mmat.metrics.by_task import SHORT, figure_names
from mmat.tasks import MULTI_LABEL, Task
from mmat.training.boards.part import Part
from mmat.training.boards.scalars import CHECKPOINT

IN_F1 = ("precision", "recall")  # F1 speaks for both


class Configuration(Part):
    """Write a configuration as Markdown text and for the plugin of hyper-parameters."""

    def __init__(self, configuration: dict, task: Task = MULTI_LABEL):
        self.values, self.compared = flat(configuration), compared(task)

    def begin(self, model):
        from tensorboard.plugins.hparams import api

        tf.summary.text("configuration", table(self.values))
        metrics = [api.Metric(f"{CHECKPOINT}/{name}", display_name=name) for name in self.compared]
        api.hparams_config([api.HParam(name) for name in self.values], metrics)
        api.hparams(self.values)

    def end(self):
        from tensorboard.plugins.hparams import api_pb2, summary

        ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        tf.summary.experimental.write_raw_pb(ended.SerializeToString())


def compared(task: Task) -> tuple[str, ...]:
    """Return the names in the logs by which trainings of a task are compared.

    >>> from mmat.tasks import MULTI_CLASS
    >>> compared(MULTI_CLASS)
    ('val_uar', 'val_accuracy', 'val_macro_f1', 'val_loss', 'loss')
    """
    own = [SHORT.get(name, name) for name in figure_names(task) if name not in IN_F1]
    return (*(f"val_{name}" for name in own), "val_loss", "loss")


def flat(configuration: dict) -> dict[str, bool | int | float | str]:
    """Return the configuration with one level of names; what is no number is shown as text.

    >>> flat({"recipe": {"batch_size": 100, "seed": None}, "pooling": max})
    {'recipe.batch_size': 100, 'recipe.seed': 'None', 'pooling': 'max'}
    """
    values: dict = {}
    for name, value in configuration.items():
        if isinstance(value, dict):
            values |= {f"{name}.{inner}": each for inner, each in flat(value).items()}
        elif isinstance(value, bool | int | float | str):
            values[str(name)] = value
        else:
            values[str(name)] = getattr(value, "__name__", str(value))
    return values


def table(values: dict) -> str:
    """Return a Markdown table of names and values.

    >>> print(table({"batch_size": 100, "choice": "a|b"}))
    | name | value |
    | --- | --- |
    | batch_size | 100 |
    | choice | a\\|b |
    """
    rows = [("name", "value"), ("---", "---"), *values.items()]
    return "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in rows)


def _cell(value) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
