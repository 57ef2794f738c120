"""What TensorBoard shows of a training: one log folder, written by one Keras callback."""
