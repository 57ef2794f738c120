"""A tagger that starts from names and learns from labels: two branches alike, and their fusion.

Each branch reads a frozen network twice: the evidence of each label, by the names of the network's
outputs (`mmat.models.label_map`), and an embedding. A clip's logit of a label is

    logit     = untrained + shared + own + residual
    untrained = scale · u,  u = log(score of the untrained tagger / its threshold)
    shared    = weights · (mean, maximum and leads of the log evidence) + bias
    own       = offset[label] + slope[label] · u
    residual  = kernel[:, label] · (mean and maximum of the embeddings over time)

With scale 1 and all else 0 a clip is decided as the untrained tagger does. A lead is a label's log
evidence less that of its strongest rival. A moment is judged as a clip of that moment alone, by the
same weights. A clip that is heard and seen gets the weighted sum of the branches' logits, any other
exactly the logit of the branch that has something. Its moments are those of the sound, of labels
that the sound has a name for: pictures decide whether, not when.

The weights are found by `mmat.training.learn`, or by `fit`. That image labels become evidence of
sounds by their names, and that both senses are fused, is the paper's (arXiv 1712.09680); the tiers
are ours.
"""

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from mmat.files import InputError
from mmat.labels import FRAME_HZ, LabelSet, Task
from mmat.media.sound import FRAME_SAMPLES
from mmat.models.evidence import EqualPriors, LikeliestName
from mmat.models.features import PatchesToFrames
from mmat.models.fusion import Fallback, WherePresent
from mmat.models.kin import kin_pairs
from mmat.models.masking import ENDLESS, HoldOwnFrames, ValidSteps, mask_padding
from mmat.models.name_maps import THRESHOLD, image_similarities, sound_similarities
from mmat.models.rivals import share_of_rival
from mmat.models.scores import ScoreLayer
from mmat.models.sound_timing import LogitsTimedBySound
from mmat.models.video import HoldFrames, LabelMap
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import AudioEncoder, ImageNetwork

N_STATISTICS = 5  # the untrained logit; mean, maximum and two leads of the log evidence
UNTRAINED_MARGIN = 1e-3  # added to an untrained score, so that its logarithm is finite
SLOPE_RIDGES = 4.0  # a class's slope is held this much more than its offset, as by `learn`
PICTURE_SHIFT = 0.0  # of a clip's logit on those of its moments, at most; chosen on validation
SOUND_MARGIN, IMAGE_MARGIN = 1e-2, 1e-3  # added to evidence; chosen on validation


def untrained_score(untrained: np.ndarray) -> np.ndarray:
    """Return the untrained tagger's score in [0, 1] of the first statistic, its logit.

    >>> round(float(untrained_score(np.float32(0))), 3)
    0.047
    """
    margin = UNTRAINED_MARGIN
    return np.clip(np.exp(untrained) * (THRESHOLD + margin) - margin, 0, 1)


# The first statistic of a label without any evidence, float32 as the layer computes it.
NO_EVIDENCE = float(np.float32(np.log(UNTRAINED_MARGIN)) - np.log(THRESHOLD + UNTRAINED_MARGIN))


@dataclasses.dataclass(frozen=True)
class Learnable:
    """Three models of one set of weights, from `learnt_models`.

    frozen: from the frozen outputs that shards hold to `clip`, `audio` and `video`; to be fitted.
    features: from the same inputs to each branch's `{sense}_statistics` `(batch, classes,
    N_STATISTICS)` and `{sense}_pooled` `(batch, 2 · embedding size)`. tagger: from waveform and
    pictures, with the outputs of `mmat.models.fusion.fused_model`. branches: the layer that judges,
    by sense. fusion: the layer that adds the branches, None with one branch.
    """

    frozen: keras.Model
    features: keras.Model
    tagger: keras.Model
    branches: dict[str, "NamesLogits"]
    fusion: "AddedLogits | None"


def learnt_models(
    labels: LabelSet,
    encoder: AudioEncoder | None = None,
    network: ImageNetwork | None = None,
    ragged: bool = False,
    ridges: tuple[float, float, float] = (0.0, 0.0, 0.0),
    clip_seconds: float = 10.0,
) -> Learnable:
    """Build a tagger that starts from the names of its labels, on one or two frozen networks.

    encoder, network: what hears and what sees, None without that sense. A network whose outputs
    have no known names brings no evidence, one without an embedding no residual. ragged: the
    tagger takes `n_samples` too, int32 `(batch,)`, for clips of different length. ridges: what
    `fit` adds to the loss for the shared weights, for those of a class and for the residual's, as
    half the sum of their squares, those of slopes four times; infinity holds them at 0. Keras's
    loss is a mean: over clips, and for labels that do not exclude each other over these too.
    clip_seconds: how long the frame scores
    of a tagger without sound last.

    The inputs of the frozen model, of each sense those of it: `sound_scores` `(batch, patches,
    n_sound_labels)`, `sound_embeddings` `(batch, patches, size)`, `n_patches` int32 and `has_audio`
    bool `(batch,)`; `image_probabilities` `(batch, n_frames, n_image_labels)`, `image_embeddings`
    `(batch, n_frames, size)` and `has_video`. Raises InputError without a network, for a task of
    values, and where weights were not fetched.

    >>> from mmat.pretrained.registry import yamnet
    >>> models = learnt_models(LabelSet.of(["Dog", "Train horn"]), yamnet)
    >>> sorted(models.frozen.input)
    ['has_audio', 'n_patches', 'sound_embeddings', 'sound_scores']
    >>> sorted(models.tagger.output)
    ['audio', 'audio_frame', 'clip', 'frame', 'sound_probabilities']
    """
    if encoder is None and network is None:
        raise InputError("a learnable tagger: without a network that hears or sees; name one")
    if labels.task.is_regression:
        raise InputError("a learnable tagger: values have no names to start from; train a branch")
    senses: dict[str, _Sense] = {}
    kin = _kin(labels, encoder)
    if encoder is not None:
        senses["audio"] = _hearing(labels, encoder, kin, ridges)
    if network is not None:
        senses["video"] = _seeing(labels, network, kin, ridges)
    fusion = AddedLogits(name="added_logits") if len(senses) == 2 else None
    inputs, features, judged = {}, {}, {}
    for name, sense in senses.items():
        own = _frozen_inputs(name, encoder, network)
        inputs |= own
        read = sense.clip(*_readings(name, own))
        features |= {f"{name}_statistics": read[0]} | (
            {f"{name}_pooled": read[1]} if read[1:] else {}
        )
        judged[name] = sense.judge(read)  # (batch, classes)
    added = None if fusion is None else fusion([judged["audio"], judged["video"]])
    outputs = _outputs(judged, added, inputs, labels.task, "clip")
    return Learnable(
        keras.Model(inputs, outputs, name="frozen"),
        keras.Model(inputs, features, name="features"),
        _tagger(senses, fusion, labels.task, encoder, network, ragged, clip_seconds),
        {name: sense.judge for name, sense in senses.items()},
        fusion,
    )


def ragged_learnt(model: keras.Model, task: Task, network: ImageNetwork | None) -> keras.Model:
    """Return a tagger of `learnt_models` in its form for padded clips, made of its very layers.

    model: not ragged, and it hears. network: what sees, None without that sense.
    """
    found = {layer.name: layer for layer in model.layers}

    def sense(name: str, map_name: str, statistics: str) -> _Sense:
        n_classes = model.output["clip"].shape[-1]
        logits = found[f"{name}_logits"]
        return _Sense(found.get(map_name), found[statistics], logits, n_classes)

    senses = {"audio": sense("audio", "sound_map", "sound_statistics")}
    if network is not None:
        senses["video"] = sense("video", "label_map", "image_statistics")
    fusion, encoder = found.get("added_logits"), found["sound_network"].record
    return _tagger(senses, fusion, task, encoder, network, ragged=True, clip_seconds=0.0)


def _frozen_inputs(sense: str, encoder, network) -> dict[str, keras.KerasTensor]:
    """The inputs of a sense in the order of their use: outputs of the network, then the flags."""
    if sense == "audio":
        sizes = {"sound_scores": len(encoder.labels()), "sound_embeddings": encoder.embedding_size}
        flags = {"n_patches": "int32", "has_audio": "bool"}
    else:
        sizes = {
            "image_probabilities": network.n_outputs - network.background_offset,
            "image_embeddings": network.embedding_size,
        }
        flags = {"has_video": "bool"}
    inputs = {name: keras.Input((None, size), name=name) for name, size in sizes.items() if size}
    return inputs | {name: keras.Input((), dtype=dtype, name=name) for name, dtype in flags.items()}


def _readings(sense: str, inputs: dict):
    """Scores, embeddings and which steps are the clip's own, None for what there is not."""
    if sense == "video":
        return inputs["image_probabilities"], inputs.get("image_embeddings"), None
    embeddings = inputs["sound_embeddings"]
    own = ValidSteps(1, at_least=1, name="own_patches")([embeddings, inputs["n_patches"]])
    return inputs.get("sound_scores"), embeddings, own


def _tagger(senses, fusion, task, encoder, network, ragged, clip_seconds) -> keras.Model:
    """The model from waveform and pictures, of the layers that the frozen model has."""
    inputs, clip, frame, outputs = {}, {}, {}, {}
    waveform, n_samples, own_frames = None, None, None
    if encoder is not None:
        waveform = inputs["waveform"] = keras.Input((None, 1), name="waveform")
        n_patches = None
        if ragged:
            n_samples = inputs["n_samples"] = keras.Input((), dtype="int32", name="n_samples")
            beyond = ops.maximum(n_samples - encoder.window_samples, 0)
            n_patches = 1 - ops.floor_divide(-beyond, encoder.hop_samples)
        heard = HubAudioEncoder.of(encoder, name="sound_network")(waveform)
        named = senses["audio"].evidence is not None
        scores, embeddings = heard["scores"] if named else None, heard["embedding"]
        # (batch, patches, size)
        if network is not None:
            has_audio = inputs["has_audio"] = keras.Input((), dtype="bool", name="has_audio")
            if scores is not None:
                scores = WherePresent(name="sound_probabilities")([scores, has_audio])
        if scores is not None:
            outputs["sound_probabilities"] = scores
        own = None
        if ragged:
            own = ValidSteps(1, at_least=1)([embeddings, n_patches])
        sense = senses["audio"]
        clip["audio"] = sense.judge(sense.clip(scores, embeddings, own))  # (batch, classes)
        x = sense.judge(sense.steps(scores, embeddings))  # (batch, patches, classes)
        to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, FRAME_SAMPLES)
        frame["audio"] = to_frames([x, waveform, *([n_samples] if ragged else [])])
        # (batch, time, classes)
        if ragged:
            own_frames = ValidSteps(FRAME_SAMPLES)([frame["audio"], n_samples])
    if network is not None:
        own = _frozen_inputs("video", None, network)
        if encoder is None:
            del own["has_video"]
        inputs |= own
        sense = senses["video"]
        scores, embeddings, _ = _readings("video", inputs)
        clip["video"] = sense.judge(sense.clip(scores, embeddings, None))
        x = sense.judge(sense.steps(scores, embeddings))  # (batch, n_frames, classes)
        if encoder is None:
            frame["video"] = HoldFrames(round(clip_seconds * FRAME_HZ), name="held_frames")(x)
        elif ragged:
            frame["video"] = HoldOwnFrames(name="held_frames")([x, own_frames])
        else:
            frame["video"] = HoldFrames(name="held_frames")([x, frame["audio"]])
    added = timed = None
    if fusion is not None:
        added = fusion([clip["audio"], clip["video"]])  # (batch, classes)
        together = fusion([frame["audio"], frame["video"]])  # (batch, time, classes)
        timed = LogitsTimedBySound(senses["audio"].knows, PICTURE_SHIFT, name="timed")(
            [frame["audio"], clip["audio"], added, together]
        )
    outputs |= _outputs(clip, added, inputs, task, "clip")
    outputs |= _outputs(frame, timed, inputs, task, "frame")
    if n_samples is not None:
        # A clip without sound is judged by its pictures, over the whole time.
        lasts = n_samples if network is None else ops.where(n_samples > 0, n_samples, ENDLESS)
        for name in ("frame", "audio_frame", "video_frame"):
            if name in outputs:
                outputs[name] = mask_padding(outputs[name], lasts, FRAME_SAMPLES)
    return keras.Model(inputs, outputs, name="learnt_names")


@dataclasses.dataclass(frozen=True)
class _Sense:
    """The layers of a sense, which read a clip's steps and each step alone.

    evidence: from the network's scores to those of the labels, None where no name is known.
    """

    evidence: LabelMap | None
    statistics: "EvidenceStatistics"
    judge: "NamesLogits"
    n_classes: int

    def clip(self, scores, embeddings, own) -> list:
        """What is read of a clip: statistics `(batch, classes, 5)`, pooled `(batch, 2 · size)`."""
        masked = [] if own is None else [own]
        read = [self.statistics([self._evidence(scores, embeddings), *masked])]
        return read if embeddings is None else [*read, MeanAndMax()([embeddings, *masked])]

    def steps(self, scores, embeddings) -> list:
        """The same of each step as if it were a clip: `(batch, steps, …)`."""
        one = [None if x is None else ops.expand_dims(x, 2) for x in (scores, embeddings)]
        return self.clip(*one, None)

    @property
    def knows(self) -> np.ndarray:
        """Which labels have a name among the network's: bool `(classes,)`."""
        if self.evidence is None:
            return np.zeros(self.n_classes, bool)
        return ops.convert_to_numpy(self.evidence.map).any(axis=0)

    def _evidence(self, scores, embeddings):
        if self.evidence is not None:
            return self.evidence(scores)  # (batch, steps, classes)
        return ops.zeros_like(embeddings[..., :1]) * np.zeros(self.n_classes, np.float32)


def _kin(labels: LabelSet, encoder: AudioEncoder | None) -> list[tuple[int, int]]:
    """Which labels are no rivals; classes of which one is right all are."""
    if encoder is None or labels.task.is_multi_class:
        return []
    return kin_pairs(sound_similarities(labels, encoder), encoder.labels())


def _hearing(labels: LabelSet, encoder: AudioEncoder, kin, ridges) -> _Sense:
    similarities = sound_similarities(labels, encoder)
    named = len(similarities) > 0
    return _Sense(
        LabelMap(similarities, LikeliestName(), name="sound_map") if named else None,
        EvidenceStatistics(SOUND_MARGIN, kin=kin, name="sound_statistics"),
        NamesLogits(ridges, name="audio_logits"),
        len(labels),
    )


def _seeing(labels: LabelSet, network: ImageNetwork, kin, ridges) -> _Sense:
    similarities = image_similarities(labels, network)
    return _Sense(
        LabelMap(similarities, EqualPriors(), name="label_map"),
        EvidenceStatistics(IMAGE_MARGIN, kin=kin, name="image_statistics"),
        NamesLogits(ridges, name="video_logits"),
        len(labels),
    )


def _outputs(logits: dict, together, inputs: dict, task: Task, what: str) -> dict:
    """Scores of the branches and of both: `clip`, `audio`, `video`, or the same of frames.

    together: the logits of both branches, None with one.
    """
    to_scores = layers.Activation("softmax" if task.is_multi_class else "sigmoid", dtype="float32")
    if together is None:
        (sense,) = logits
        scores = to_scores(logits[sense])
        flag = inputs.get(f"has_{sense}")
        scores = scores if flag is None else WherePresent()([scores, flag])
        return {what: scores, _branch(sense, what): scores}
    has = [inputs["has_audio"], inputs["has_video"]]
    alone = [to_scores(logits[sense]) for sense in ("audio", "video")]
    both = to_scores(together)
    outputs = {what: Fallback(name=what)([both, *alone, *has])}
    for sense, scores, flag in zip(("audio", "video"), alone, has, strict=True):
        outputs[_branch(sense, what)] = WherePresent()([scores, flag])
    return outputs


def _branch(sense: str, what: str) -> str:
    return sense if what == "clip" else f"{sense}_{what}"


@keras.saving.register_keras_serializable(package="mmat")
class EvidenceStatistics(ScoreLayer):
    """Read evidence over time: what the untrained tagger makes of it, and how strong it leads.

    Inputs: evidence in [0, 1], `(…, steps, classes)`, and where only some steps are the clip's own
    bool `(…, steps)`. Output: float32 `(…, classes, 5)`. First `log(score / threshold)` of the
    untrained tagger, whose score is the mean of `e · min(1, e / its strongest rival's e)`; then of
    the log evidence `log(e + margin)` the mean and the maximum over time, and of both the lead: how
    far it lies above the strongest other label's, 0 for a label alone. kin: pairs of labels that
    are no rivals.

    >>> statistics = EvidenceStatistics(0.01)(np.float32([[[1.0, 0.0], [0.0, 0.0]]]))
    >>> statistics.shape, round(float(statistics[0, 0, 2]), 2)
    (TensorShape([1, 2, 5]), 0.01)
    """

    def __init__(
        self,
        margin: float,
        threshold: float = THRESHOLD,
        kin: Sequence[tuple[int, int]] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.margin = margin
        self.threshold = threshold
        self.kin = [list(pair) for pair in kin]

    def call(self, inputs):
        evidence, *own = inputs if isinstance(inputs, list | tuple) else (inputs,)
        own = ops.cast(own[0], "float32") if own else ops.ones_like(evidence[..., 0])
        count = ops.expand_dims(own / ops.sum(own, axis=-1, keepdims=True), -1)
        competing = evidence * share_of_rival(evidence, self.kin)
        score = ops.sum(competing * count, axis=-2)  # (…, classes)
        logs = ops.log(evidence + self.margin)
        mean = ops.sum(logs * count, axis=-2)
        beyond = ops.expand_dims(own, -1) == 0
        largest = ops.max(ops.where(beyond, math.log(self.margin), logs), axis=-2)
        untrained = ops.log(score + UNTRAINED_MARGIN) - math.log(self.threshold + UNTRAINED_MARGIN)
        return ops.stack([untrained, mean, largest, _lead(mean), _lead(largest)], axis=-1)

    def compute_output_shape(self, input_shape):
        several = isinstance(input_shape[0], list | tuple)
        *lead, _, n_classes = input_shape[0] if several else input_shape
        return (*lead, n_classes, N_STATISTICS)

    def get_config(self):
        own = {"margin": self.margin, "threshold": self.threshold, "kin": self.kin}
        return super().get_config() | own


def _lead(logs):
    """How far each label lies above the strongest other one: `(…, classes)`."""
    if logs.shape[-1] == 1:
        return ops.zeros_like(logs)
    two, _ = ops.top_k(logs, 2)
    first, second = two[..., :1], two[..., 1:]
    return logs - ops.where(logs >= first, second, first)


@keras.saving.register_keras_serializable(package="mmat")
class MeanAndMax(ScoreLayer):
    """Mean and maximum over time, float32.

    Inputs: `(…, steps, size)`, and where only some steps are the clip's own, at least one, bool
    `(…, steps)`. Output: `(…, 2 · size)`.

    >>> x, own = np.float32([[[1.0], [3.0], [9.0]]]), np.array([[True, True, False]])
    >>> MeanAndMax()([x, own]).numpy().tolist()
    [[2.0, 3.0]]
    """

    def call(self, inputs):
        x, *own = inputs
        x = ops.cast(x, "float32")
        if not own:
            return ops.concatenate([ops.mean(x, axis=-2), ops.max(x, axis=-2)], axis=-1)
        own = ops.expand_dims(ops.cast(own[0], "float32"), -1)
        mean = ops.sum(x * own, axis=-2) / ops.sum(own, axis=-2)
        largest = ops.max(ops.where(own > 0, x, -np.inf), axis=-2)
        return ops.concatenate([mean, largest], axis=-1)

    def compute_output_shape(self, input_shapes):
        *lead, _, size = input_shapes[0]
        return (*lead, 2 * size)


@keras.saving.register_keras_serializable(package="mmat")
class NamesLogits(ScoreLayer):
    """A logit of each label from what was read of a clip: the tiers of `mmat.models.learnt`.

    Inputs: statistics `(…, classes, 5)` as `EvidenceStatistics` gives them, and where there are
    embeddings `(…, size)`. Output: float32 `(…, classes)`. New, it gives the first statistic: the
    untrained tagger's logit, 0 at its threshold.

    ridges: what is added to the loss in `fit` for the shared weights, a class's own and the
    residual's, as half the sum of their squares, those of slopes `SLOPE_RIDGES` times; infinity
    keeps them where they are.

    >>> statistics = np.float32([[[2.0, 1, 1, 1, 1], [-1.0, 1, 1, 1, 1]]])
    >>> NamesLogits()([statistics, np.float32([[5.0, 6.0]])]).numpy().tolist()
    [[2.0, -1.0]]
    """

    def __init__(self, ridges: tuple[float, float, float] = (0.0, 0.0, 0.0), **kwargs):
        super().__init__(**kwargs)
        self.ridges = tuple(ridges)

    def build(self, input_shapes):
        (*_, n_classes, n_statistics), *embeddings = input_shapes
        shared, own, residual = self.ridges

        def weight(name, shape, ridge, start="zeros"):
            finite = np.isfinite(ridge)
            pull = keras.regularizers.L2(ridge / 2) if finite and ridge else None
            return self.add_weight(
                name=name, shape=shape, initializer=start, regularizer=pull, trainable=finite
            )

        self.scale = weight("scale", (), np.inf, "ones")
        self.shared = weight("shared", (n_statistics - 1,), shared)
        self.bias = self.add_weight(name="bias", shape=(), initializer="zeros")
        self.offset = weight("offset", (n_classes,), own)
        self.slope = weight("slope", (n_classes,), SLOPE_RIDGES * own)
        self.kernel = None
        if embeddings:
            size = embeddings[0][-1]
            self.kernel = weight("kernel", (size, n_classes), residual)
            self.center = weight("center", (size,), np.inf)
            self.spread = weight("spread", (), np.inf, "ones")

    def call(self, inputs):
        statistics, *embeddings = inputs
        untrained = statistics[..., 0]
        logits = (self.scale + self.slope) * untrained + self.bias + self.offset
        logits += ops.sum(statistics[..., 1:] * self.shared, axis=-1)
        if embeddings:
            scaled = (embeddings[0] - self.center) / self.spread
            logits += ops.matmul(scaled, self.kernel)
        return logits

    def compute_output_shape(self, input_shapes):
        return input_shapes[0][:-1]

    def get_config(self):
        return super().get_config() | {"ridges": [float(ridge) for ridge in self.ridges]}


@keras.saving.register_keras_serializable(package="mmat")
class AddedLogits(ScoreLayer):
    """The weighted sum of two branches' logits, of one shape; new, their plain sum.

    >>> AddedLogits()([np.float32([[1.0, -1.0]]), np.float32([[0.5, 0.5]])]).numpy().tolist()
    [[1.5, -0.5]]
    """

    def build(self, input_shapes):
        self.branch_weights = self.add_weight(name="weights", shape=(2,), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(), initializer="zeros")

    def call(self, inputs):
        heard, seen = inputs
        return self.branch_weights[0] * heard + self.branch_weights[1] * seen + self.bias
