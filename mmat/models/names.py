"""Zero-shot tagging of any labels: the names of two pretrained networks are mapped to them.

YAMNet names what it hears by 521 names of AudioSet, the image network what it sees by ImageNet's
1000. `mmat.models.name_maps` maps both to the labels; the rest is constant and the same for every
label, and nothing is trained. The defaults were chosen on the mini corpus's validation split by
`experiments/zero_shot.py`. All of it is ours.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from mmat.labels import LabelSet
from mmat.media.sound import FRAME_SAMPLES
from mmat.models.bundle import Bundle
from mmat.models.evidence import EqualPriors, LikeliestName
from mmat.models.features import PatchesToFrames
from mmat.models.fusion import EitherRight, Fallback, WherePresent
from mmat.models.kin import competition, kin_pairs, speech_and_other_acts
from mmat.models.masking import ENDLESS, HoldOwnFrames, ValidSteps, mask_padding
from mmat.models.name_maps import N_FRAMES, THRESHOLD, name_maps
from mmat.models.pooling import mean_pooling
from mmat.models.rivals import Competing
from mmat.models.sound_timing import TimedBySound
from mmat.models.video import HoldFrames, LabelMap
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import AudioEncoder, yamnet
from mmat.pretrained.registry import image_network as known_image_network
from mmat.pretrained.text import TextEncoder


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
    image = known_image_network(image_network)
    maps = name_maps(labels, sound, image, text_encoder, threshold)
    return Bundle(
        zero_shot_model(maps.hears, maps.sees, sound),
        maps.labels,
        maps.thresholds,
        image_network,
        n_frames=N_FRAMES,
    )


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
    inputs = {x.name: x for x in (waveform, probabilities, has_audio, has_video, *lengths)}
    pairs = {
        "kin": kin_pairs(sound_similarities, sound.labels()),
        "yields": speech_and_other_acts(sound_similarities, sound.labels()),
    }
    power = competition(sound_similarities.shape[1])
    steps = LabelSteps(
        LabelMap(sound_similarities, LikeliestName(), name="sound_map"),
        LabelMap(image_similarities, EqualPriors(), name="label_map"),
        lambda x, name: Competing(power, **pairs, name=name)(x),
        TimedBySound(sound_similarities.any(axis=0), name="timed"),
    )
    outputs = zero_shot_outputs(inputs, HubAudioEncoder.of(sound, name="sound_network"), steps)
    return keras.Model(inputs, outputs, name="zero_training")


class LabelSteps(NamedTuple):
    """The steps of the model that know the labels.

    hear, see: from a network's probabilities to evidence. compete: from scores `(batch, time,
    classes)` and a step's name. time: what `TimedBySound` is.
    """

    hear: Callable
    see: Callable
    compete: Callable
    time: Callable


def zero_shot_outputs(inputs: dict, encoder: HubAudioEncoder, steps: LabelSteps) -> dict:
    """Return the outputs of the model of `zero_shot_model` for its inputs, by name.

    encoder: hears the waveform.
    """
    waveform, has_audio, has_video = (inputs[x] for x in ("waveform", "has_audio", "has_video"))
    ragged = "n_samples" in inputs
    # A clip without sound is judged by its pictures, over the whole time.
    n_samples = inputs.get("n_samples")
    n_samples = ops.where(n_samples > 0, n_samples, ENDLESS) if ragged else None

    # The padding is silence, as is that which the encoder adds to a clip's end by itself.
    silenced = mask_padding(waveform, n_samples, samples_per_step=1)
    sounds = encoder(silenced)["scores"]
    sounds = WherePresent(name="sound_probabilities")([sounds, has_audio])
    # (batch, patches, n_sound_labels)
    x = steps.hear(sounds)
    # (batch, patches, classes)
    to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, FRAME_SAMPLES)
    heard = to_frames([x, waveform, *([n_samples] if ragged else [])])  # (batch, time, classes)
    own = ValidSteps(FRAME_SAMPLES)([heard, n_samples]) if ragged else None

    x = steps.see(inputs["image_probabilities"])
    # (batch, n_frames, classes)
    x = WherePresent(name="seen")([x, has_video])
    hold, time = (HoldOwnFrames, own) if ragged else (HoldFrames, heard)
    seen = hold(name="held_frames")([x, time])  # (batch, time, classes)

    both = EitherRight(name="either")([heard, seen])  # (batch, time, classes)
    outputs = {"sound_probabilities": sounds}
    for clip, frame, x in (
        ("clip", "joint_frame", both),
        ("audio", "audio_frame", heard),
        ("video", "video_frame", seen),
    ):
        x = steps.compete(x, frame)
        outputs[frame] = mask_padding(x, n_samples, FRAME_SAMPLES)  # (batch, time, classes)
        # (batch, classes); without the clamp of MILPooling, for a score of 0 is to stay 0
        outputs[clip] = mean_pooling(outputs[frame], own)
    joint = outputs.pop("joint_frame")
    timed = steps.time([outputs["audio_frame"], outputs["audio"], outputs["clip"], joint])
    alone = [outputs["audio_frame"], outputs["video_frame"]]
    outputs["frame"] = Fallback(name="frame")([timed, *alone, has_audio, has_video])
    # (batch, time, classes)
    return outputs
