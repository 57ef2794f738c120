"""Prepared clips: lists and media become TFRecord shards, shards become batches."""
