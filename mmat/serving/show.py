"""A tagging for people: tables of tags, events and reasons, and a picture."""

import os

import numpy as np

from mmat.metrics.events import Event
from mmat.serving.formats import Form
from mmat.serving.tagging import Tag, Tagging

LEAST_ROWS = 5


def table_form(explain: bool = False) -> Form:
    """Return tables: the tags that fired and the best of the rest, and the events, file by file.

    explain: also the names that pretrained networks gave behind each of these tags.
    """
    return Form(lambda tagging: as_table(tagging, explain), "", "\n\n")


def as_table(tagging: Tagging, explain: bool = False) -> str:
    """Return the tables of one file.

    >>> tags = (Tag("Dog", 0.75, True, 0.5, 0.9),)
    >>> one = np.ones(1, "float32")
    >>> a = ("a.mp4", 1.0, ("Dog",), one, one, one[None], one > 0, tags, (), True, True)
    >>> Tagging(*a)
    <Tagging of a.mp4, 1.0 s: Dog 0.75>
    >>> print(Tagging(*a))  # is the same
    a.mp4: 1.0 s, sound and pictures
    tag    score    fired    audio    video
    -----  -------  -------  -------  -------
    Dog    0.750    *        0.500    0.900
    """
    senses = ["sound"] * tagging.has_audio + ["pictures"] * tagging.has_video
    shown = tagging.tags[: max(LEAST_ROWS, int(np.sum(tagging.fired)))]
    name = tagging.file or "waveform"
    is_value = tagging.task.is_regression
    head = ["value"] if is_value else ["score", "fired"]
    parts = [
        f"{name}: {tagging.duration_seconds:.1f} s, {' and '.join(senses)}",
        _tabulate(["tag", *head, "audio", "video"], [_tag_row(tag, is_value) for tag in shown]),
    ]
    if tagging.events:
        rows = [
            [e.label, f"{e.onset_seconds:.1f}", f"{e.offset_seconds:.1f}", _digits(e.score)]
            + [e.modality]
            for e in tagging.events
        ]
        head = ["event", "from s", "to s", "mean" if is_value else "peak", "by"]
        parts.append("\n" + _tabulate(head, rows))
    if explain:
        parts.append("\n" + _reasons(tagging, shown))
    return "\n".join(parts)


def _tag_row(tag: Tag, is_value: bool) -> list[str]:
    fired = [] if is_value else ["*" if tag.fired else ""]
    said = [_digits(score) for score in (tag.audio_score, tag.video_score)]
    return [tag.label, _digits(tag.score), *fired, *said]


def _reasons(tagging: Tagging, shown: tuple[Tag, ...]) -> str:
    order = [tag.label for tag in shown]
    reasons = [reason for reason in tagging.reasons if reason.label in order]
    if not reasons:
        return "No pretrained network gave a name behind these tags."
    rows = [
        [r.label, "picture" if r.sense == "video" else "sound", r.name, _digits(r.probability)]
        + [_digits(r.similarity), f"{r.seconds:.1f}"]
        for r in sorted(reasons, key=lambda reason: order.index(reason.label))
    ]
    return _tabulate(["tag", "in the", "named", "probability", "similarity", "at s"], rows)


def _digits(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _tabulate(head: list[str], rows) -> str:
    import tabulate

    return tabulate.tabulate(list(rows), head, disable_numparse=True)


def plot(tagging: Tagging, path_png: str | os.PathLike) -> None:
    """Draw a file that was tagged `with_mel`: mel, frame scores, and the pictures that spoke."""
    from mmat.plots import plot_tagging

    indices = {label: c for c, label in enumerate(tagging.labels)}
    events = [
        Event(indices[e.label], e.onset_seconds, e.offset_seconds, e.score) for e in tagging.events
    ]
    captions = [", ".join(label for label, _ in picture.labels) for picture in tagging.pictures]
    plot_tagging(
        path_png,
        tagging.log_mel,
        tagging.frame_scores,
        tagging.labels,
        tagging.thresholds,
        pictures=[
            (picture.seconds, picture.image, caption)
            for picture, caption in zip(tagging.pictures, captions, strict=True)
        ],
        events=events,
        clip_scores=tagging.clip_scores,
        title=os.path.basename(tagging.file),
        task=tagging.task,
    )
