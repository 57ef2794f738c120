"""Which part of its file a clip is, and how many clips of a list lie in their files which way."""

import collections
import enum
import os


class Way(enum.StrEnum):
    """Which part of its file a clip is, as the list, the file's name and its length say it."""

    WHOLE = "whole"  # the list gives no range
    TRIMMED = "trimmed"  # the file is the listed range alone: read whole
    TRIMMED_SHORT = "trimmed_short"  # the same, and shorter than the list says
    BEGINNING = "beginning"  # the range begins at 0 s, where both readings are the same
    CUT = "cut"  # the range of a longer file
    TOO_SHORT = "too_short"  # the file ends before the range begins, and is not the range alone

    @property
    def is_trimmed(self) -> bool:
        """Whether the file is read whole though its list gives a range."""
        return self in (Way.TRIMMED, Way.TRIMMED_SHORT)


_TOLD = {
    Way.TRIMMED: "read whole, trimmed already",
    Way.TRIMMED_SHORT: "read whole, trimmed and shorter than listed",
    Way.BEGINNING: "read from 0 s on",
    Way.CUT: "cut out of longer files",
    Way.TOO_SHORT: "too short for their range",
    Way.WHOLE: "without a range",
}


class Ways:
    """Counts clips by the way that they lie in their files.

    clips: how many, by way. missing: how many have no file.

    >>> ways = Ways()
    >>> for path, way in (("a.wav", Way.TRIMMED), ("b.mp4", Way.CUT), ("b.mp4", Way.CUT)):
    ...     ways.add(path, way)
    >>> ways.add(None, None)
    >>> ways.line()
    '1 read whole, trimmed already; 2 cut out of longer files; 1 missing'
    """

    def __init__(self):
        self.clips: collections.Counter[Way] = collections.Counter()
        self.missing = 0
        self._of_file: dict[str, collections.Counter[bool]] = {}

    def add(self, path: str | os.PathLike | None, way: Way | None) -> None:
        """Count a clip by its file, None for a missing one."""
        if path is None or way is None:
            self.missing += 1
            return
        self.clips[way] += 1
        if way != Way.WHOLE:
            users = self._of_file.setdefault(os.fspath(path), collections.Counter())
            users[way.is_trimmed] += 1

    @property
    def shared(self) -> int:
        """How many clips' file is taken for their range alone, and is that of other clips too."""
        trimmed = (users for users in self._of_file.values() if users[True])
        return sum(users[True] for users in trimmed if users.total() > 1)

    def told(self) -> list[tuple[str, int]]:
        """Return what to say of each way and of how many clips; empty where none is a range."""
        told = [(words, self.clips[way]) for way, words in _TOLD.items() if self.clips[way]]
        return told if self._of_file else []

    def line(self) -> str:
        """Return the same in one line, and what is missing; empty where no clip is a range."""
        told = self.told()
        told += [("missing", self.missing)] if told and self.missing else []
        return "; ".join(f"{count:,} {words}" for words, count in told)

    def doubt(self) -> str:
        """Return a sentence on files that cannot be all that they are taken for, or nothing."""
        if not self.shared:
            return ""
        return (
            f"{self.shared:,} clips are read whole from files that other clips lie in too: by its "
            "length such a file is one clip alone; give the files names with times"
        )
