"""Taggings as a table for people, as JSON or CSV for programs, and as a picture."""

import csv
import io
import json
import os
from collections.abc import Sequence

import numpy as np

from mmat.data.media import SAMPLE_RATE_HZ, read_media
from mmat.errors import InputError
from mmat.metrics.events import Event
from mmat.serving.tagger import Tagger
from mmat.serving.tagging import Tagging

LEAST_ROWS = 5
PIECE_SAMPLES = 60 * SAMPLE_RATE_HZ
CSV_HEADER = ["file", "label", "score", "fired", "audio_score", "video_score"]


def as_table(taggings: Sequence[Tagging]) -> str:
    """Return a table of tags for each file, those that fired and the best of the rest, and events.

    >>> from mmat.serving.tagging import Tag
    >>> tags = (Tag("Dog", 0.75, True, 0.5, 0.9),)
    >>> empty = np.zeros((1, 1))
    >>> print(as_table([Tagging("a.mp4", 1, empty[0], empty, empty[0], tags, (), True, True)]))
    a.mp4: 1.0 s, sound and pictures
    tag    score    fired    audio    video
    -----  -------  -------  -------  -------
    Dog    0.750    *        0.500    0.900
    """
    return "\n\n".join(map(_table, taggings))


def _table(tagging: Tagging) -> str:
    import tabulate

    senses = ["sound"] * tagging.has_audio + ["pictures"] * tagging.has_video
    n_rows = max(LEAST_ROWS, int(np.sum(tagging.fired)))
    rows = [
        [
            tag.label,
            f"{tag.score:.3f}",
            "*" if tag.fired else "",
            *("" if x is None else f"{x:.3f}" for x in (tag.audio_score, tag.video_score)),
        ]
        for tag in tagging.tags[:n_rows]
    ]
    head = ["tag", "score", "fired", "audio", "video"]
    parts = [
        f"{tagging.file}: {tagging.duration_seconds:.1f} s, {' and '.join(senses)}",
        tabulate.tabulate(rows, head, disable_numparse=True),
    ]
    if tagging.events:
        events = [
            [e.label, f"{e.onset_seconds:.1f}", f"{e.offset_seconds:.1f}", f"{e.score:.3f}"]
            for e in tagging.events
        ]
        head = ["event", "from s", "to s", "peak"]
        parts.append("\n" + tabulate.tabulate(events, head, disable_numparse=True))
    return "\n".join(parts)


def as_json(taggings: Sequence[Tagging]) -> str:
    """Return one JSON object for one file, an array of them for several.

    >>> as_json([])
    '[]'
    """
    objects = [
        {
            "file": tagging.file,
            "duration_seconds": tagging.duration_seconds,
            "has_audio": tagging.has_audio,
            "has_video": tagging.has_video,
            "tags": [vars(tag) for tag in tagging.tags],
            "events": [vars(event) for event in tagging.events],
        }
        for tagging in taggings
    ]
    whole = objects[0] if len(objects) == 1 else objects
    return json.dumps(whole, indent=1, ensure_ascii=False)


def as_csv(taggings: Sequence[Tagging]) -> str:
    """Return CSV with a header and a row for every file and label; what was not said is empty.

    >>> as_csv([])
    'file,label,score,fired,audio_score,video_score'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for tagging in taggings:
        for tag in tagging.tags:
            scores = [None if x is None else f"{x:.6f}" for x in (tag.audio_score, tag.video_score)]
            writer.writerow([tagging.file, tag.label, f"{tag.score:.6f}", int(tag.fired), *scores])
    return text.getvalue().rstrip("\n")


FORMATS = {"table": as_table, "json": as_json, "csv": as_csv}


def plot(tagger: Tagger, tagging: Tagging, path_png: str | os.PathLike) -> None:
    """Draw a tagged file: its pictures, its mel spectrogram and the frame scores below it.

    Raises InputError where the file cannot be read again.
    """
    from mmat.plots import plot_tagging

    media = read_media(tagging.file, n_frames=tagger.n_frames)
    indices = {label: c for c, label in enumerate(tagger.labels)}
    events = [
        Event(indices[e.label], e.onset_seconds, e.offset_seconds, e.score) for e in tagging.events
    ]
    plot_tagging(
        path_png,
        _decibels(media.waveform, tagging.duration_seconds),
        tagging.frame_scores,
        tagger.labels,
        tagger.thresholds,
        frames=media.frames,
        events=events,
        clip_scores=tagging.clip_scores,
        title=os.path.basename(tagging.file),
    )


def _decibels(waveform: np.ndarray | None, seconds: float) -> np.ndarray:
    """Return the log-mel `(mel_time, bands)` of a sound as long as the pictures are."""
    from mmat.models.features import log_mel

    padded = np.zeros((1, max(1, round(seconds * SAMPLE_RATE_HZ)), 1), np.float32)
    if waveform is not None:
        heard = waveform[: padded.shape[1]]
        padded[0, : len(heard), 0] = heard
    # In pieces: the transform takes 70 times the memory of the sound.
    pieces = np.split(padded, range(PIECE_SAMPLES, padded.shape[1], PIECE_SAMPLES), axis=1)
    return np.concatenate([np.asarray(log_mel(piece))[0, :, :, 0] for piece in pieces])


def check_plot_path(path_png: str | os.PathLike) -> None:
    """Raise InputError where no picture can be written, before the work is done."""
    if os.path.isdir(path_png):
        raise InputError(f"{path_png}: is a folder; name the picture's file")
