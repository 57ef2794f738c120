"""Zero-shot tagging of any labels: the names of two pretrained networks are mapped to them.

YAMNet names what it hears by 521 names of AudioSet, the image network what it sees by ImageNet's
1000. `mmat.models.label_map` maps both to the labels; the rest is constant and the same for every
label, and nothing is trained. The defaults were chosen on the mini corpus's validation split by
`experiments/zero_shot.py`. All of it is ours.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from mmat.labels import MULTI_LABEL, LabelSet
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.audio import FRAME_SAMPLES
from mmat.models.bundle import Bundle
from mmat.models.evidence import EqualPriors, LikeliestName
from mmat.models.features import PatchesToFrames
from mmat.models.fusion import (
    N_RIVALS,
    Competing,
    EitherRight,
    Fallback,
    TimedBySound,
    WherePresent,
)
from mmat.models.kin import kin_pairs, speech_and_other_acts
from mmat.models.label_map import imagenet_hypernyms, matched_similarities, sound_label_names
from mmat.models.masking import ENDLESS, HoldOwnFrames, ValidSteps, mask_padding
from mmat.models.pooling import mean_pooling
from mmat.models.video import HoldFrames, LabelMap
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import AudioEncoder, ImageNetwork, yamnet
from mmat.pretrained.registry import image_network as known_image_network
from mmat.pretrained.text import TextEncoder, embedded_text_encoder

SOUND_FLOOR, IMAGE_FLOOR = 0.65, 0.75  # cosines under which a name has nothing to do with a label
IMAGE_PRIOR = 0.001  # any label is as common in pictures as one of ImageNet's thousand
COMPETITION = 1.0  # its power among as many labels as a rival is looked for, or fewer
MORE_COMPETITION = 0.2  # with more labels the power grows as their number to the power of this
THRESHOLD = 0.047
N_FRAMES = 8


def zero_shot_bundle(
    labels: LabelSet,
    sound: AudioEncoder = yamnet,
    image_network: str = "efficientnet_lite0",
    text_encoder: TextEncoder | None = None,
    threshold: float = THRESHOLD,
) -> Bundle:
    """Return a tagger of any labels, without any training, as a bundle like any other.

    labels: any number; synonyms help where they are given, and whatever their task, each is judged
    by itself. sound: a network with scores in YAMNet's order. text_encoder: default the embedded
    one, loaded only for labels that no network knows by name. A label that neither network knows
    anything near to has scores of 0 and a threshold that never fires: see `unmapped_labels`.
    Raises InputError where weights were not fetched.

    >>> bundle = zero_shot_bundle(LabelSet.of(["Dog"]))
    >>> sorted(bundle.model.output)[:4], bool(bundle.thresholds[0] < 1)
    (['audio', 'audio_frame', 'clip', 'frame'], True)
    """
    labels = dataclasses.replace(labels, task=MULTI_LABEL)
    hears = sound_similarities(labels, sound, text_encoder)
    sees = image_similarities(labels, known_image_network(image_network), text_encoder)
    mapped = hears.any(axis=0) | sees.any(axis=0)
    return Bundle(
        zero_shot_model(hears, sees, sound),
        labels,
        np.where(mapped, np.float32(threshold), NEVER_FIRES),
        image_network,
        n_frames=N_FRAMES,
    )


def sound_similarities(
    labels: LabelSet, encoder: AudioEncoder = yamnet, text_encoder: TextEncoder | None = None
) -> np.ndarray:
    """Return how much each name of an audio network's scores means each label.

    Float32 `(n_sound_labels, classes)` in [0, 1], 0 where a name has nothing to do with a label;
    without rows where the names of the scores are not known. text_encoder: default the embedded
    one, loaded only for labels that the network does not know by name. Raises InputError where
    weights were not fetched.

    >>> sound_similarities(LabelSet.of(["Dog", "Quarterly tax return"])).max(axis=0).tolist()
    [1.0, 0.0]
    """
    heard = encoder.labels()
    if not heard:
        return np.zeros((0, len(labels)), np.float32)
    heard = LabelSet.of(heard)
    names = [sound_label_names(heard, index) for index in range(len(heard))]
    return matched_similarities(names, labels, _encoder(text_encoder), SOUND_FLOOR, heard=True)


def image_similarities(
    labels: LabelSet, network: ImageNetwork, text_encoder: TextEncoder | None = None
) -> np.ndarray:
    """Return how much each image label means each label, as `sound_similarities` does."""
    names = network.labels()
    return matched_similarities(
        names, labels, _encoder(text_encoder), IMAGE_FLOOR, imagenet_hypernyms()
    )


def _encoder(text_encoder: TextEncoder | None) -> Callable[[], TextEncoder]:
    return embedded_text_encoder if text_encoder is None else lambda: text_encoder


def competition(n_labels: int) -> float:
    """Return the power of the competition among so many labels: of more, more are alike.

    >>> competition(2), competition(16), round(competition(521), 2)
    (1.0, 1.0, 2.01)
    """
    return COMPETITION * max(1.0, n_labels / N_RIVALS) ** MORE_COMPETITION


def unmapped_labels(bundle: Bundle) -> tuple[str, ...]:
    """Return the labels of a bundle that starts from names which no network knows anything near to.

    >>> unmapped_labels(zero_shot_bundle(LabelSet.of(["Dog", "Quarterly tax return"])))
    ('Quarterly tax return',)
    """
    known = np.zeros(len(bundle.labels), bool)
    for layer in bundle.model.layers:
        if isinstance(layer, LabelMap):
            known |= ops.convert_to_numpy(layer.map).any(axis=0)
    return tuple(
        name for name, is_known in zip(bundle.labels.names, known, strict=True) if not is_known
    )


def zero_shot_model(
    sound_similarities: np.ndarray,
    image_similarities: np.ndarray,
    sound: AudioEncoder = yamnet,
    ragged: bool = False,
) -> keras.Model:
    """Build the model behind a zero-shot bundle, from its two label maps.

    sound_similarities `(n_sound_labels, classes)`, image_similarities `(n_image_labels, classes)`.
    Inputs and outputs as of `mmat.models.fusion.fused_model`, and `sound_probabilities` `(batch,
    patches, n_sound_labels)`. A label's score at a moment is that at least one sense is right, were
    they independent, and then those labels compete that are not kin, and speech yields to other
    acts of the voice; a clip's score is the mean of its moments'. What `frame` says of a label that
    the sound knows is timed by the sound. A clip without one sense gets exactly what the other
    predicts.

    ragged: clips are padded at their ends, and `n_samples` int32 `(batch,)` says how long each is.
    A clip then gets what it gets alone without padding, and frames beyond its end are 0. A length
    of 0 means that there is no sound, and pictures that last as long as the waveform.
    """
    n_image_labels, _ = image_similarities.shape
    waveform = keras.Input((None, 1), name="waveform")
    probabilities = keras.Input((None, n_image_labels), name="image_probabilities")
    has_audio = keras.Input((), dtype="bool", name="has_audio")
    has_video = keras.Input((), dtype="bool", name="has_video")
    lengths = [keras.Input((), dtype="int32", name="n_samples")] if ragged else []
    # A clip without sound is judged by its pictures, over the whole time.
    n_samples = ops.where(lengths[0] > 0, lengths[0], ENDLESS) if ragged else None

    # The padding is silence, as is that which the encoder adds to a clip's end by itself.
    silenced = mask_padding(waveform, n_samples, samples_per_step=1)
    sounds = HubAudioEncoder.of(sound, name="sound_network")(silenced)["scores"]
    sounds = WherePresent(name="sound_probabilities")([sounds, has_audio])
    # (batch, patches, n_sound_labels)
    x = LabelMap(sound_similarities, LikeliestName(), name="sound_map")(sounds)
    # (batch, patches, classes)
    to_frames = PatchesToFrames(sound.hop_samples, sound.window_samples, FRAME_SAMPLES)
    heard = to_frames([x, waveform, *([n_samples] if ragged else [])])  # (batch, time, classes)
    own = ValidSteps(FRAME_SAMPLES)([heard, n_samples]) if ragged else None

    x = LabelMap(image_similarities, EqualPriors(prior=IMAGE_PRIOR), name="label_map")(
        probabilities
    )
    # (batch, n_frames, classes)
    x = WherePresent(name="seen")([x, has_video])
    hold, time = (HoldOwnFrames, own) if ragged else (HoldFrames, heard)
    seen = hold(name="held_frames")([x, time])  # (batch, time, classes)

    both = EitherRight(name="either")([heard, seen])  # (batch, time, classes)
    pairs = {
        "kin": kin_pairs(sound_similarities, sound.labels()),
        "yields": speech_and_other_acts(sound_similarities, sound.labels()),
    }
    power = competition(sound_similarities.shape[1])
    outputs = {"sound_probabilities": sounds}
    for clip, frame, x in (
        ("clip", "joint_frame", both),
        ("audio", "audio_frame", heard),
        ("video", "video_frame", seen),
    ):
        x = Competing(power, **pairs, name=frame)(x)
        outputs[frame] = mask_padding(x, n_samples, FRAME_SAMPLES)  # (batch, time, classes)
        # (batch, classes); without the clamp of MILPooling, for a score of 0 is to stay 0
        outputs[clip] = mean_pooling(outputs[frame], own)
    joint = outputs.pop("joint_frame")
    timed = TimedBySound(sound_similarities.any(axis=0), name="timed")(
        [outputs["audio_frame"], outputs["audio"], outputs["clip"], joint]
    )
    alone = [outputs["audio_frame"], outputs["video_frame"]]
    outputs["frame"] = Fallback(name="frame")([timed, *alone, has_audio, has_video])
    # (batch, time, classes)
    inputs = {x.name: x for x in (waveform, probabilities, has_audio, has_video, *lengths)}
    return keras.Model(inputs, outputs, name="zero_training")
