"""What a clip holds, as a piece of HTML that carries its pictures and its event list in itself.

Names of clips and labels are untrusted: the template escapes every one of them.
"""

import base64
import functools
import importlib.resources
import io
import pathlib
from collections.abc import Sequence

import numpy as np

from mmat.serving.formats import events_form
from mmat.serving.tagging import BOTH, Picture, Tagging

LEAST_ROWS = 10
_SENSES = {"audio": "sound", "video": "picture", BOTH: "both"}


def summary(tagging: Tagging) -> str:
    """Return in a line what was found: how many tags fired, the best class, or the values.

    >>> nothing = np.zeros(0)
    >>> summary(Tagging("a", 1.0, ("Dog",), *[nothing] * 3, np.array([False]), (), (), True, False))
    'No tags fired.'
    """
    fired = [tag for tag in tagging.tags if tag.fired]
    if tagging.task.is_regression:
        return "; ".join(f"{tag.label}: {tag.score:.2f}" for tag in fired) + "."
    if tagging.task.is_multi_class:
        return f"{fired[0].label} is the best of the classes." if fired else "No class was found."
    return f"{len(fired) or 'No'} {'tag' if len(fired) == 1 else 'tags'} fired."


def render(tagging: Tagging, unmapped: Sequence[str] = ()) -> str:
    """Return the answer as HTML: tags, timeline, pictures that spoke, events to download.

    tagging: made `with_mel`. unmapped: labels of which the tagger knows nothing.
    """
    name = pathlib.PurePath(tagging.file)
    events = "".join(events_form().write([tagging]))
    n_rows = max(LEAST_ROWS, int(np.sum(tagging.fired)))
    order = {tag.label: place for place, tag in enumerate(tagging.tags[:n_rows])}
    reasons = [reason for reason in tagging.reasons if reason.label in order]
    return _template().render(
        tagging=tagging,
        tags=tagging.tags[:n_rows],
        n_left_out=len(tagging.tags) - n_rows,
        is_value=tagging.task.is_regression,
        multi_class=tagging.task.is_multi_class,
        reasons=sorted(reasons, key=lambda reason: order[reason.label]),
        senses=" and ".join(["sound"] * tagging.has_audio + ["pictures"] * tagging.has_video),
        sense=_SENSES.get,
        unmapped=unmapped,
        timeline=_uri("image/png", _timeline(tagging)),
        spoken=" ".join(
            f"{tagging.text_of(e)} from {e.onset_seconds:.1f} to {e.offset_seconds:.1f} s."
            for e in tagging.events
        ),
        pictures=[(_uri("image/jpeg", _jpeg(p)), p) for p in tagging.pictures],
        events_uri=_uri("text/tab-separated-values;charset=utf-8", events.encode()),
        events_file=f"{name.stem or 'clip'}-events.tsv",
    )


@functools.cache
def _template():
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = importlib.resources.files("mmat.app").joinpath("answer.html").read_text("utf-8")
    return environment.from_string(text)


def _timeline(tagging: Tagging) -> bytes:
    from mmat.serving.show import plot

    png = io.BytesIO()
    plot(tagging, png)
    return png.getvalue()


def _jpeg(picture: Picture) -> bytes:
    import PIL.Image

    jpeg = io.BytesIO()
    PIL.Image.fromarray(picture.image).save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
