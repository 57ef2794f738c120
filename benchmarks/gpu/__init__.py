"""A training step on a GPU whose machine has JAX but no TensorFlow: lowered here, run there."""
