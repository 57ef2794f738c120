"""Export a trained model as a SavedModel or a LiteRT file, with its model card."""
