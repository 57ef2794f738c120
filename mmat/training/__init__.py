"""Training: a loop that survives kills and spans machines, checkpoints, precision, TensorBoard."""
