"""The systems that the mini corpus trains, for mini.py and for the studies beside it."""

import keras
import numpy as np

from mmat.corpora.mini import mini_labels
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.augment import MixupMels, RandomFilter, SpecAugment
from mmat.models.fusion import fused_model
from mmat.models.pooling import linear_softmax
from mmat.models.predict import Predictor, predict
from mmat.models.video import video_branch
from mmat.training import (
    FixedClips,
    boards,
    front_end,
    late_head,
    learning_back_end,
)

AUDIO_EPOCHS, AUDIO_BATCH, AUDIO_RATE = 24, 16, 1e-3
VIDEO_EPOCHS, LATE_EPOCHS = 60, 60
N_SHOWN = 6  # clips in TensorBoard


def train_audio(
    data, labels, seed, dtype, epochs=AUDIO_EPOCHS, logs=None, pooling=linear_softmax
) -> keras.Model:
    """The authors' CRNN on log-mel that is shifted, filtered, hidden in parts, and mixed."""
    heard = {split: np.flatnonzero(data[split]["has_audio"]) for split in ("train", "validation")}
    augmentation = (RandomFilter(0.5, seed=seed), SpecAugment(0.15, 0.2, seed=seed))
    options = {"pooling": pooling, "augmentation": augmentation, "dropout": 0.3}
    audio = audio_branch(labels, **options, dtype=dtype)
    waveform = data["train"]["waveform"][heard["train"]]
    adapt_normalization(audio, (waveform[i : i + 32] for i in range(0, len(waveform), 32)))
    mels = {
        split: front_end(audio).predict(data[split]["waveform"][clips], batch_size=16, verbose=0)
        for split, clips in heard.items()
    }
    truth = {split: data[split]["weak_labels"][clips] for split, clips in heard.items()}
    batches = MixupMels(mels["train"], truth["train"], AUDIO_BATCH, seed=seed)
    trained = learning_back_end(audio, AUDIO_RATE, epochs * len(batches), 3 * len(batches))
    callbacks = []
    if logs is not None:
        configuration = {"epochs": epochs, "batch_size": AUDIO_BATCH, "rate": AUDIO_RATE}
        configuration |= {"pooling": pooling, "dtype": dtype, "seed": seed, "system": "audio"}
        shown = heard["validation"][:N_SHOWN]
        callbacks = boards(
            logs,
            labels,
            configuration,
            lambda: (truth["validation"], trained.predict(mels["validation"], verbose=0)["clip"]),
            FixedClips.of(data["validation"], shown, mels["validation"][:N_SHOWN]),
        )
    trained.fit(batches, epochs=epochs, callbacks=callbacks, verbose="auto" if callbacks else 2)
    # The same weights in float32: what is evaluated is what is exported, to the last digit.
    plain = audio_branch(labels, **options)
    plain.set_weights(audio.get_weights())
    return plain


def train_video(data, similarities, logs=None) -> keras.Model:
    """Slope and offset of each class over the constant label map, from the training labels."""
    video = video_branch(mini_labels(), similarities=similarities)
    train, validation = data["train"], data["validation"]
    seen = train["has_video"]
    video.compile(keras.optimizers.Adam(0.05), loss={"clip": "binary_crossentropy"})
    callbacks = []
    if logs is not None:
        predictor = Predictor(video)
        callbacks = boards(
            logs,
            mini_labels(),
            {"epochs": VIDEO_EPOCHS, "batch_size": 64, "rate": 0.05, "system": "video"},
            lambda: (validation["weak_labels"], predictor(validation)["clip"]),
            drawn_every=20,
        )
    video.fit(
        {"image_probabilities": train["image_probabilities"][seen]},
        {"clip": train["weak_labels"][seen]},
        batch_size=64,
        epochs=VIDEO_EPOCHS,
        verbose=0,
        callbacks=callbacks,
    )
    return video


def train_fusion(data, audio, video, logs=None) -> keras.Model:
    """Two weights a class, learnt on validation clips.

    The audio branch knows the training recordings by heart, so on them it seems better than it
    is, and the fusion would learn to trust it too far.
    """
    validation = data["validation"]
    fused = fused_model(audio, video, label_rates=data["train"]["weak_labels"].mean(axis=0))
    both = validation["has_audio"] & validation["has_video"]
    scores = [predict(branch, validation)["clip"][both] for branch in (audio, video)]
    callbacks = [] if logs is None else boards(logs, mini_labels())
    fit_late(late_head(fused), scores, validation["weak_labels"][both], callbacks)
    return fused


def fit_late(head, scores, truth, callbacks=()) -> None:
    """Learn a late fusion's weights from the scores of its branches."""
    head.compile(keras.optimizers.Adam(0.02), loss="binary_crossentropy")
    head.fit(scores, truth, batch_size=32, epochs=LATE_EPOCHS, verbose=0, callbacks=list(callbacks))
