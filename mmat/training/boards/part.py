"""What each part of the board has in common: the moments at which it may write."""


class Part:
    """One subject of the board; a part overrides the moments at which it has something to say.

    Each is called where `tf.summary` writes into the log, at the current step. logs: what Keras
    passes on, by name; a part may add to those of a checkpoint.
    """

    def begin(self, model) -> None:
        """Called once for a log, before the first step."""

    def after_step(self, model, logs: dict) -> None:
        """Called after each training step."""

    def after_checkpoint(self, model, logs: dict, drawing: bool) -> None:
        """Called after each epoch; drawing: whether it is the turn of what is large or slow."""

    def end(self) -> None:
        """Called where the training ends of itself."""
