"""Long recordings as several clips, with the labels of the whole, or cut to their beginning."""

import dataclasses

from mmat.lists.clip import Clip, Event


def pieces(clip: Clip, seconds: float, longest: float = 60.0, piece: float = 30.0) -> list[Clip]:
    """Return the clips that a whole file becomes: itself, or pieces if it is longer than `longest`.

    seconds: how long the file is. A piece has the labels of the whole, whether or not each sounds
    in it; where the times of a label are known, if it sounds in it. The last one is half a piece
    longer or shorter at most. All have the source groups of the file. A clip that is a range of its
    file stays one.

    >>> [(x.start_seconds, x.end_seconds) for x in pieces(Clip("a", "a.wav", ("Dog",)), 70.0)]
    [(0.0, 30.0), (30.0, None)]
    >>> len(pieces(Clip("a", "a.wav"), 59.0))
    1
    """
    is_range = clip.video_id or clip.start_seconds is not None or clip.end_seconds is not None
    if is_range or not seconds > longest:
        return [clip]
    n = round(seconds / piece)
    return [_piece(clip, i * piece, (i + 1) * piece if i < n - 1 else None) for i in range(n)]


def beginning(clip: Clip, seconds: float) -> Clip:
    """Return what a clip is whose sound is cut after so many seconds.

    Events that begin later are not in it, nor are labels all of whose events do. Labels without the
    times of events stay.

    >>> long = Clip("a", "a.wav", ("Dog", "Cat"), events=(Event("Dog", 1, 2), Event("Cat", 12, 13)))
    >>> beginning(long, 10.0).labels
    ('Dog',)
    """
    events = tuple(event for event in clip.events if event.onset_seconds < seconds)
    if len(events) == len(clip.events):
        return clip
    gone = {event.label for event in clip.events} - {event.label for event in events}
    labels = tuple(name for name in clip.labels if name not in gone)
    return dataclasses.replace(clip, labels=labels, events=events)


def _piece(clip: Clip, start_seconds: float, end_seconds: float | None) -> Clip:
    end = float("inf") if end_seconds is None else end_seconds
    events = tuple(
        Event(
            event.label,
            max(event.onset_seconds, start_seconds) - start_seconds,
            min(event.offset_seconds, end) - start_seconds,
        )
        for event in clip.events
        if event.onset_seconds < end and event.offset_seconds > start_seconds
    )
    elsewhere = {event.label for event in clip.events} - {event.label for event in events}
    labels = tuple(name for name in clip.labels if name not in elsewhere)
    return dataclasses.replace(
        clip,
        id=f"{clip.id}_{start_seconds:g}",
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        labels=labels,
        events=events,
    )
