"""Parts of models that are fitted by themselves, by Keras's `fit`, and the rate they learn at.

They share their weights with the model that they are taken from.
"""

import keras

from mmat.labels import MULTI_LABEL, Task
from mmat.training.step import FastModel


def front_end(audio: keras.Model) -> keras.Model:
    """The part of an audio branch that learns nothing: waveform to log-mel in decibels.

    Of a ragged branch the inputs are its own, by name.
    """
    inputs = audio.input if "n_samples" in audio.input else audio.input["waveform"]
    return keras.Model(inputs, audio.get_layer("band_normalization").input, name="front_end")


def back_end(audio: keras.Model) -> keras.Model:
    """The rest of an audio branch: log-mel in, `clip` and `frame` out.

    Fitting it on the front end's output, computed once, is the same as fitting the whole and
    spares a third of the time. Of a ragged branch the inputs are `[log_mel, n_samples]`; Keras then
    takes the branch's own input `n_samples` for the part's, so that to save the branch it must be
    joined anew: `keras.Model(audio.input, audio.output)`.
    """
    log_mel = audio.get_layer("band_normalization").input
    ragged = "n_samples" in audio.input
    inputs = [log_mel, audio.input["n_samples"]] if ragged else log_mel
    return FastModel(inputs, audio.output, name="back_end")


def compiled_back_end(
    audio: keras.Model,
    learning_rate: float,
    steps: int,
    warm_steps: int,
    task: Task = MULTI_LABEL,
) -> keras.Model:
    """The back end of an audio branch, compiled to learn from a few hundred clips by `fit`.

    AdamW whose rate follows `warm_cosine`, and the task's loss. Ours, tuned on the mini corpus.
    """
    network, rate = back_end(audio), warm_cosine(learning_rate, steps, warm_steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4, clipnorm=1.0)
    network.compile(optimizer, loss={"clip": task.loss})
    return network


def late_head(fused: keras.Model) -> keras.Model:
    """The part of a late fusion that learns: clip scores of both branches in, fused scores out."""
    return keras.Model(
        fused.get_layer("modality_dropout").input, fused.get_layer("clip").input[0], name="late"
    )


def warm_cosine(learning_rate: float, steps: int, warm_steps: int):
    """A learning rate that rises over `warm_steps`, then falls by a cosine to a hundredth."""
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 100,
        max(1, steps - warm_steps),
        alpha=0.01,
        warmup_target=learning_rate,
        warmup_steps=warm_steps,
    )
