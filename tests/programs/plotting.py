"""A plot is drawn without pyplot, by a matplotlib that is loaded when it is used."""

import io
import sys

from mmat.plots.studies import plot_systems

assert "matplotlib" not in sys.modules
plot_systems(io.BytesIO(), {"systems": {"audio": {"f1": 0.5}}})
assert "matplotlib.pyplot" not in sys.modules
assert "tensorflow" not in sys.modules
