"""The model card inside an export: what the model is, its figures, its licences, its use."""

from mmat.labels import FRAME_HZ, MULTI_LABEL
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.bundle import Bundle
from mmat.pretrained.embedded import EMBEDDED
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import image_network, yamnet

CARD = """\
# An audio tagger made with mmat

{outputs}
Clips of training were {clip_seconds:g} s long.

{use}

{labels}

## Data

{data}

## Figures

{figures}

## Weights inside and their licences

{licences}

## Intended use

Searching and sorting recordings, and studying weakly labelled learning. Scores are estimates of a
model that knows only the labels above, and errs more on recordings unlike those of its training:
let nothing that concerns people's safety, rights or privacy depend on them alone.
"""

MULTI_LABEL_OUTPUTS = """\
Predicts which of {n_classes} sound events a clip holds, and when, from {senses}. Every score is a
probability in [0, 1] of one event; several events may sound at once. An event fires where its
score reaches its threshold."""

MULTI_CLASS_OUTPUTS = """\
Predicts which one of {n_classes} classes a clip belongs to, and how that changes, from {senses}.
The scores of all classes sum to 1. The class with the highest score fires, and no other."""

VALUES_OUTPUTS = """\
Predicts a value of each label, between {low:g} and {high:g}, for a clip and over time,
from {senses}. The value itself is the output: `clip` and `frame` hold values, and `fired` is
always true."""

SAVED_MODEL_USE = """\
Load it with `tf.saved_model.load`, or tag files with `mmat tag FILE --model THIS_FOLDER`. A
SavedModel is code: load those of people you trust.

A clip with a sample that is NaN or infinite gets NaN for every number, and nothing fires; the other
clips of its batch are not touched.

## Signatures

| signature | inputs | outputs |
| --- | --- | --- |
{signatures}"""

TFLITE_USE = """\
This card lies inside the LiteRT (TensorFlow Lite) file, which is a zip archive too: `unzip
NAME.tflite` gives `labels.csv` and `facts.json`, with thresholds or task. It uses built-in
operations alone. `mmat tag FILE --model NAME.tflite` tags with it, without TensorFlow.

The signatures take `waveform`, float32 (1, {n_samples}, 1), 16 kHz mono in [-1, 1], and return
`clip`, `fired` and `frame` (10 a second). Put zeros behind a shorter clip, and say its length in
`n_samples`, int32 (1), where the file has that input: it then gets what it gets alone, and `frame`
is 0 beyond its end. Cut a longer clip into windows. A clip with a sample that is NaN or infinite
gets NaN for every number, and nothing fires."""


def model_card(
    bundle: Bundle, served=None, with_images: bool = False, use: str | None = None
) -> str:
    """Return the model card of a bundle as Markdown.

    served: what `mmat.export.savedmodel.serve` gave of it, for a SavedModel's card; without it, the
    card is that of a LiteRT file. with_images: whether such a file holds the image network. use:
    what stands there instead of how such a file is used.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(1), LabelSet.of(["Dog"]), [0.25], figures={"test F1": 0.5})
    >>> [line for line in model_card(bundle).splitlines() if "Dog" in line or "F1" in line]
    ['| Dog | 0.250 |', '- test F1: 0.5']
    """
    inputs = bundle.model.input
    hears, sees = "waveform" in inputs, with_images or served is not None
    sees &= "image_probabilities" in inputs
    if use is None and served is None:
        use = TFLITE_USE.format(n_samples=round(bundle.clip_seconds * SAMPLE_RATE_HZ))
    elif use is None:
        use = SAVED_MODEL_USE.format(signatures="\n".join(_signature_rows(served)))
    known = {name: x for name, x in bundle.figures.items() if name != "data" and x is not None}
    figures = [f"- {name}: {_figure(x)}" for name, x in known.items()]
    parts = _parts(bundle, sees)
    return CARD.format(
        outputs=_outputs(bundle, " and ".join(["its sound"] * hears + ["its pictures"] * sees)),
        clip_seconds=bundle.clip_seconds,
        use=use,
        labels=_labels(bundle),
        data="\n".join(f"- {name}: {data}" for name, data, _ in parts),
        figures="\n".join(figures) or "None were recorded with this model.",
        licences="\n".join(f"- {name}: {licence}" for name, _, licence in parts),
    )


def _outputs(bundle: Bundle, senses: str) -> str:
    task = bundle.labels.task
    text = MULTI_CLASS_OUTPUTS if task.is_multi_class else MULTI_LABEL_OUTPUTS
    text = VALUES_OUTPUTS if task.is_regression else text
    return text.format(n_classes=len(bundle.labels), senses=senses, low=task.low, high=task.high)


def _labels(bundle: Bundle) -> str:
    """Return the labels as a section, with thresholds where the task has any."""
    names = [name.replace("|", "\\|") for name in bundle.labels.names]
    if bundle.labels.task != MULTI_LABEL:
        return "\n".join(["## Labels", "", *(f"- {name}" for name in names)])
    rows = [f"| {name} | {_limit(x)} |" for name, x in zip(names, bundle.thresholds, strict=True)]
    head = ["## Labels and thresholds", "", "| label | threshold |", "| --- | --- |"]
    return "\n".join([*head, *rows])


def _limit(threshold: float) -> str:
    return "never fires" if threshold >= NEVER_FIRES else f"{threshold:.3f}"


def _signature_rows(served) -> list[str]:
    rows = []
    for name, function in served.signatures.items():
        taken, given = function.structured_input_signature[1], function.structured_outputs
        cells = [", ".join(f"`{key}`" for key in sorted(each)) for each in (taken, given)]
        rows.append(f"| `{name}` | {cells[0] or 'nothing'} | {cells[1]} |")
    return rows


def _figure(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parts(bundle: Bundle, sees: bool) -> list[tuple[str, str, str]]:
    """Return (part, what it was trained on, its licence) of each part that holds weights."""
    parts = []
    if bundle.model.trainable_variables:
        trained_on = bundle.figures.get("data", "not recorded with this model")
        licence = "whoever trained it knows; check what the licences of the training media ask"
        parts.append(("what was trained with mmat", trained_on, licence))
    for layer in bundle.model._flatten_layers():
        if isinstance(layer, HubAudioEncoder):
            if layer.handle == yamnet.handle:
                parts.append(("audio network YAMNet", "AudioSet (labels CC BY 4.0)", "Apache-2.0"))
            else:
                parts.append((f"audio network {layer.handle}", *["as published there"] * 2))
    if sees:
        network = image_network(bundle.image_network)
        about = ("ImageNet", "Apache-2.0")
        if not network.handle.startswith(EMBEDDED):
            about = (f"as published at {network.handle}",) * 2
        parts.append((f"image network {network.name}", *about))
    if sees or "sound_probabilities" in bundle.model.output:
        names = "the networks' own label names (ImageNet's list: MIT)"
        text = "similarities by a Universal Sentence Encoder (Apache-2.0)"
        if "sound_probabilities" in bundle.model.output:
            text += ", kinds of things by WordNet 3.0 (its own licence, which asks to be named)"
        parts.append(("label map", f"{names} and the labels above", text))
    return parts


def facts_of(bundle: Bundle) -> dict:
    """Return what belongs to the model besides its graph, by name, as JSON holds it.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> facts = facts_of(Bundle(audio_branch(1), LabelSet.of(["Dog"]), [0.25]))
    >>> facts["labels"], facts["thresholds"], facts["task"], facts["clip_seconds"]
    (['Dog'], [0.25], 'multi-label', 10.0)
    """
    return {
        "labels": list(bundle.labels.names),
        "thresholds": [float(threshold) for threshold in bundle.thresholds],
        "task": str(bundle.labels.task),
        "clip_seconds": float(bundle.clip_seconds),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_hz": FRAME_HZ,
    }
