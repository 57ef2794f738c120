"""Pictures: what sounds when in a clip, which image labels speak for which event, and how systems
fare, as a whole and class by class.

Each function makes a figure of its own (no pyplot, so threads and notebooks are left in peace) and
writes a PNG of 120 dots per inch, to a path (whole or not at all) or into an open binary file.
Colours are those of Okabe and Ito and of matplotlib's perceptual maps, for colour-blind eyes too.
"""

from mmat.plots.evaluation import (
    plot_class_bars,
    plot_confusion,
    plot_outcomes,
    plot_precision_recall,
    plot_values,
)
from mmat.plots.label_map import plot_label_map
from mmat.plots.lists import plot_list
from mmat.plots.studies import plot_groups, plot_systems
from mmat.plots.tagging import plot_tagging

__all__ = [
    "plot_class_bars",
    "plot_confusion",
    "plot_groups",
    "plot_label_map",
    "plot_list",
    "plot_outcomes",
    "plot_precision_recall",
    "plot_systems",
    "plot_tagging",
    "plot_values",
]
