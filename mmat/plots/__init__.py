"""Pictures: what sounds when in a clip, which image labels are near to which event, how
systems fare.

Each function makes a figure of its own (no pyplot, so threads and notebooks are left in peace) and
writes a PNG of 120 dots per inch, to a path (whole or not at all) or into an open binary file.
Colours are those of Okabe and Ito and of matplotlib's perceptual maps, for colour-blind eyes too.
Import each from its module: `mmat.plots.tagging`, `evaluation`, `label_map`, `lists`, `studies`.
"""
