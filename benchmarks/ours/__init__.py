"""What mmat does, as functions that make a run; they are called in a worker process."""
