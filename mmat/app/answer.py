"""What a clip holds, as a headline and as one piece of HTML.

The HTML carries its pictures and its event list inside it. Names of clips and labels are untrusted:
the template escapes every one of them.
"""

import base64
import functools
import importlib.resources
import io
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmat.app.timeline import lanes, spectrogram, ticks
from mmat.metrics.decisions import percent_sure
from mmat.tagging.forms import events_form
from mmat.tagging.result import BOTH, VIDEO, Tagging, TimedTag

if TYPE_CHECKING:
    from mmat.tagging.tagger import Guess

LEAST_ROWS = 10  # of the table of tags
HEADLINE_LABELS, HEADLINE_TIMES = 3, 3
MOST_OPEN = 5  # guesses that are shown at once
_SENSES = {"audio": "sound", "video": "picture", BOTH: "both"}


def headline(tagging: Tagging) -> str:
    """Return in a line what was found and when, or the best class, or the values.

    >>> from mmat.tagging.result import Tag
    >>> nothing = np.zeros(0)
    >>> a = ("a", 9.0, ("Dog",), *[nothing] * 3, np.array([True]), (Tag("Dog", 0.9, True),))
    >>> headline(Tagging(*a, (TimedTag("Dog", 2.0, 3.0, 0.9),), True, False))
    'Dog, 2.0 to 3.0 s'
    """
    fired = [tag for tag in tagging.tags if tag.fired]
    if tagging.task.is_regression:
        return "; ".join(f"{tag.label}: {tag.score:.2f}" for tag in fired)
    if tagging.task.is_multi_class:
        return f"{fired[0].label} is the best of the classes" if fired else "No class was found"
    if not fired:
        label, score = tagging.tags[0].label, tagging.tags[0].score
        nearest = f"; the nearest is {label}" if _sure(tagging, label, score) != "0" else ""
        return "None of the labels was found" + nearest
    parts = [_when(tagging, tag.label) for tag in fired[:HEADLINE_LABELS]]
    n_more = len(fired) - HEADLINE_LABELS
    if n_more > 0:
        parts.append(f"and {n_more} more {'label' if n_more == 1 else 'labels'}")
    return "; ".join(parts)


def _when(tagging: Tagging, label: str) -> str:
    events = [event for event in tagging.events if event.label == label]
    if not events:
        return f"{label}, somewhere in the clip"
    times = [f"{e.onset_seconds:.1f} to {e.offset_seconds:.1f}" for e in events[:HEADLINE_TIMES]]
    n_more = len(events) - HEADLINE_TIMES
    if n_more > 0:
        end = f"{times.pop()} s and {n_more} more {'time' if n_more == 1 else 'times'}"
    else:
        end = f"{times.pop()} s"
    seen = "seen " * all(event.modality == VIDEO for event in events)
    begin = ", ".join(times)
    joined = f"{begin}{',' if n_more > 0 else ' and'} {end}" if times else end
    return f"{label}, {seen}{joined}"


def doubts(unmapped: Sequence[str], guesses: Sequence["Guess"]) -> str:
    """Return in a line which labels were guessed or are not known, empty where none is.

    >>> from mmat.tagging.tagger import Guess
    >>> doubts(["Tax"], [Guess("Washing machine", "sound", "Sewing machine", 0.74)])
    'Guessed: Washing machine. Not known: Tax.'
    """
    guessed = tuple(dict.fromkeys(guess.label for guess in guesses))
    named = (("Guessed", guessed), ("Not known", unmapped))
    return " ".join(f"{what}: {_few(labels)}." for what, labels in named if labels)


def _few(labels: Sequence[str]) -> str:
    n_more = len(labels) - HEADLINE_LABELS
    more = [f"{n_more} more"] if n_more > 0 else []
    return "; ".join([*labels[:HEADLINE_LABELS], *more])


def render(tagging: Tagging, unmapped: Sequence[str] = (), guesses: Sequence["Guess"] = ()) -> str:
    """Return the answer as HTML: tags, timeline, pictures that spoke, events to download.

    tagging: made `with_mel`. unmapped: labels of which the tagger knows nothing. guesses: what the
    others were taken for that are no known names.
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
        sure=functools.partial(_sure, tagging),
        words=functools.partial(_words, tagging),
        unmapped=unmapped,
        guesses=guesses,
        most_open=MOST_OPEN,
        lanes=lanes(tagging),
        ticks=ticks(tagging.duration_seconds),
        mel=_uri("image/png", _encoded(spectrogram(tagging.log_mel), "PNG")),
        pictures=[
            (_uri("image/jpeg", _encoded(p.image, "JPEG", quality=85)), p) for p in tagging.pictures
        ],
        events_uri=_uri("text/tab-separated-values;charset=utf-8", events.encode()),
        events_file=f"{name.stem or 'clip'}-events.tsv",
    )


def _sure(tagging: Tagging, label: str, score: float | None) -> str:
    """Return how sure a score is in per cent, a value as it is, and a dash where there is none."""
    if score is None:
        return "–"
    (sure,) = tagging.sure(label, score)
    return f"{score:.2f}" if sure is None else str(percent_sure(sure))


def _words(tagging: Tagging, event: TimedTag) -> str:
    begin, end = event.onset_seconds, event.offset_seconds
    return f"{tagging.text_of(event)}, {begin:.1f} to {end:.1f} s"


@functools.cache
def _template():
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = importlib.resources.files("mmat.app").joinpath("answer.html").read_text("utf-8")
    return environment.from_string(text)


def _encoded(picture: np.ndarray, form: str, **options) -> bytes:
    import PIL.Image

    data = io.BytesIO()
    PIL.Image.fromarray(picture).save(data, form, **options)
    return data.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
