"""What a training was called with: as a table to read, and as hyper-parameters to compare."""

import tensorflow as tf

from mmat.training.boards.part import Part
from mmat.training.boards.scalars import CHECKPOINT

COMPARED = ("val_f1", "val_map", "val_loss", "loss")


class Configuration(Part):
    """Write a configuration as Markdown text and for the plugin of hyper-parameters."""

    def __init__(self, configuration: dict):
        self.values = flat(configuration)

    def begin(self, model):
        from tensorboard.plugins.hparams import api

        tf.summary.text("configuration", table(self.values))
        metrics = [api.Metric(f"{CHECKPOINT}/{name}", display_name=name) for name in COMPARED]
        api.hparams_config([api.HParam(name) for name in self.values], metrics)
        api.hparams(self.values)

    def end(self):
        from tensorboard.plugins.hparams import api_pb2, summary

        ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        tf.summary.experimental.write_raw_pb(ended.SerializeToString())


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
