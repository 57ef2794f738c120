"""Every layer that a saved model may name, known to Keras under its name and its former names."""

# What model files and checkpoints hold is the name of then; new name: name before.
FORMER_NAMES = {"ValidSteps": "OwnSteps", "MaskPadding": "ZeroBeyond", "L2Toward": "PullTo"}


def register_layers() -> None:
    """Register mmat's layers with Keras; call it before a saved model is read.

    >>> import keras
    >>> register_layers()
    >>> keras.saving.get_registered_object("mmat>OwnSteps").__name__
    'ValidSteps'
    """
    import keras

    import mmat.models.answers
    import mmat.models.audio
    import mmat.models.augment
    import mmat.models.features
    import mmat.models.joining
    import mmat.models.pooling
    import mmat.models.semantics
    import mmat.models.video  # noqa: F401 - each registers its own

    known = keras.saving.get_custom_objects()
    for name, former in FORMER_NAMES.items():
        known[f"mmat>{former}"] = known[f"mmat>{name}"]
