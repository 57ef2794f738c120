"""Where the tracks of a transport stream lie in the file, and what lies behind them.

Where streams of different senders were joined, the tracks end, and others go on, which FFmpeg shows
beside the first ones, or not at all.
"""

import dataclasses

_WORTH_SAYING_SECONDS = 1.0


@dataclasses.dataclass
class _Extent:
    first_byte: int
    last_byte: int
    seconds: float = 0.0


class Extents:
    """The first and the last byte of each track's packets, and how long they last.

    >>> extents = Extents()
    >>> for track, begin in ((0, 0), (0, 500), (1, 1000), (1, 1500)):
    ...     extents.add(track, begin, 2.0)
    >>> extents.behind(0, [0, 1], n_bytes=2000)
    'behind 4.0 s there are about 4.0 s on tracks that begin there; they are not read'
    """

    def __init__(self):
        self._tracks: dict[int, _Extent] = {}

    def add(self, track: int, byte: int | None, seconds: float) -> None:
        """Count a packet that begins at a byte of the file, None for one inside of another."""
        if track not in self._tracks:
            self._tracks[track] = _Extent(byte or 0, byte or 0)
        extent = self._tracks[track]
        extent.last_byte = max(extent.last_byte, byte or 0)
        extent.seconds += seconds

    def behind(self, read: int | None, kind: list[int], n_bytes: int) -> str:
        """Return what is said of tracks behind the end of the one that is read, or nothing.

        kind: all known tracks of its kind. n_bytes: of the file, which is as dense there as before.
        """
        own = self._tracks.get(read)
        if own is None:
            return ""
        others = [self._tracks[track].first_byte for track in kind if track in self._tracks]
        known_bytes = max(extent.last_byte for extent in self._tracks.values())
        begin = min([byte for byte in others if byte > own.last_byte], default=known_bytes)
        seconds = (n_bytes - begin) / begin * own.seconds if begin else 0.0
        if seconds < _WORTH_SAYING_SECONDS:
            return ""
        return (
            f"behind {own.seconds:.1f} s there are about {seconds:.1f} s on tracks that begin "
            "there; they are not read"
        )
