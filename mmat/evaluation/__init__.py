"""A trained model against the truth of a split: figures with intervals, files, and a page."""
