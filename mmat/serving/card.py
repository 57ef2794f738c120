"""The model card inside an export: what the model is, what it was measured at, what it may do."""

from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.bundle import Bundle
from mmat.models.pretrained.registry import EMBEDDED, image_network

CARD = """\
# An audio tagger made with mmat

Says which of {n_classes} sound events a clip holds, and when, from {senses}. Every score is a
probability in [0, 1] of one event; several events may sound at once. An event fires where its
score reaches its threshold.

Load it with `tf.saved_model.load`, or tag files with `mmat tag FILE --model THIS_FOLDER`. A
SavedModel is a program: load those of people you trust.

## Inputs and outputs

The signature `serving_default` takes {inputs}, and answers {outputs}. The signature `labels` takes
nothing and gives the labels, the thresholds and the format of a clip. Clips of training were
{clip_seconds:g} s long.

## Labels and thresholds

| label | threshold |
| --- | --- |
{thresholds}

## Data and figures

{figures}

## Weights inside and their licences

{licences}

## Intended use

Searching and sorting recordings, and studying weakly labelled learning. Scores are estimates of a
model that knows only the labels above, and errs more on recordings unlike those of its training:
let nothing that concerns people's safety, rights or privacy hang on them alone.
"""


def model_card(bundle: Bundle) -> str:
    """Return the model card of a bundle as Markdown.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(1), LabelSet.of(["Dog"]), [0.25], figures={"test F1": 0.5})
    >>> [line for line in model_card(bundle).splitlines() if "Dog" in line or "F1" in line]
    ['| Dog | 0.250 |', '- test F1: 0.5']
    """
    inputs, outputs = bundle.model.input, bundle.model.output
    hears, sees = "waveform" in inputs, "image_probabilities" in inputs
    names = ["frames" if name == "image_probabilities" else name for name in inputs]
    figures = [f"- {name}: {_figure(value)}" for name, value in bundle.figures.items()]
    return CARD.format(
        n_classes=len(bundle.labels),
        senses=" and ".join(["its sound"] * hears + ["its pictures"] * sees),
        inputs=", ".join(f"`{name}`" for name in names),
        outputs=", ".join(f"`{name}`" for name in [*outputs, "fired"]),
        clip_seconds=bundle.clip_seconds,
        thresholds="\n".join(map(_threshold_row, bundle.labels.names, bundle.thresholds)),
        figures="\n".join(figures) or "None were recorded with this model.",
        licences="\n".join(_licences(bundle, sees)),
    )


def _threshold_row(label: str, threshold: float) -> str:
    shown = "never fires" if threshold >= NEVER_FIRES else f"{threshold:.3f}"
    return f"| {label.replace('|', chr(92) + '|')} | {shown} |"


def _figure(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _licences(bundle: Bundle, sees: bool) -> list[str]:
    lines = [
        "- what was trained here: by whoever trained it; check what the licences of the training "
        "media ask"
    ]
    if sees and image_network(bundle.image_network).handle.startswith(EMBEDDED):
        lines.append(f"- image network {bundle.image_network}, ImageNet weights: Apache-2.0")
    elif sees:
        handle = image_network(bundle.image_network).handle
        lines.append(f"- image network {bundle.image_network}: as published at {handle}")
    if sees:
        lines.append(
            "- label map: similarities of ImageNet's label names (list: MIT) and the labels above "
            "by a Universal Sentence Encoder (Apache-2.0)"
        )
    return lines
