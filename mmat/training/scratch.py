"""A convolutional recurrent network that learns from a few hundred clips alone, from scratch.

The authors' network (arXiv 1712.09680) on a log-mel that is shifted, filtered, hidden in parts and
mixed; augmentation, dropout and AdamW are ours, tuned on the mini corpus.
"""

import keras
import numpy as np

from mmat.files import InputError
from mmat.labels import MULTI_LABEL
from mmat.lists.splits import VALIDATION
from mmat.models.audio import audio_branch
from mmat.models.augment import MixupMels, RandomFilter, SpecAugment
from mmat.models.pooling import linear_softmax
from mmat.shards.corpus import TRAIN, Corpus
from mmat.training.submodels import compiled_back_end, front_end

EPOCHS, BATCH_SIZE, LEARNING_RATE = 24, 16, 1e-3
WARM_EPOCHS = 3
CLIP_SECONDS = 10.0
MOST_CLIPS = 5_000  # their sound is held in memory, 0.64 MB a clip


def train_crnn(corpus: Corpus, epochs: int = EPOCHS, progress: bool = False) -> keras.Model:
    """Return an audio branch that was fitted to the training clips of a corpus.

    corpus: clips of one length, with validation clips. Raises InputError for fewer training clips
    with sound than one batch, for more than memory holds, and without a validation clip.
    """
    n_clips = corpus.splits[TRAIN]
    if n_clips > MOST_CLIPS:
        raise InputError(
            f"from scratch: {n_clips} clips are more than {MOST_CLIPS}, which are held in memory; "
            "use experiments/train.py"
        )
    if not corpus.has(VALIDATION):
        raise InputError("from scratch: no clip of the split 'validation', which it needs; add one")
    train = corpus.arrays(TRAIN)
    heard = np.flatnonzero(train["has_audio"])
    if len(heard) < BATCH_SIZE:
        raise InputError(
            f"from scratch: {len(heard)} training clips with sound; it takes {BATCH_SIZE} at "
            "least, and some hundreds to be of use: learn from names instead"
        )
    waveform, truth = train["waveform"][heard], train["weak_labels"][heard]
    keras.utils.set_random_seed(0)
    augmentation = (RandomFilter(0.5), SpecAugment(0.15, 0.2))
    options = {"pooling": linear_softmax, "dropout": 0.3}
    batches = (waveform[i : i + 32] for i in range(0, len(waveform), 32))
    audio = audio_branch(corpus.labels, adapt=batches, augmentation=augmentation, **options)
    mels = front_end(audio).predict(waveform, batch_size=BATCH_SIZE, verbose=0)
    mix = 0.5 if corpus.task == MULTI_LABEL else 0.0  # a mixed clip has the labels of both
    mixed = MixupMels(mels, truth, BATCH_SIZE, mix=mix)
    steps = epochs * len(mixed), WARM_EPOCHS * len(mixed)
    fitted = compiled_back_end(audio, LEARNING_RATE, *steps, task=corpus.task)
    fitted.fit(mixed, epochs=epochs, verbose=2 if progress else 0)
    plain = audio_branch(corpus.labels, **options)  # without what is for training alone
    plain.set_weights(audio.get_weights())
    return plain
