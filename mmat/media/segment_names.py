"""Names of files that hold a range of a recording alone, as programs that download write them.

After the recording's name come the times, in seconds or milliseconds: `_30.000_40.000`,
`_30000_40000`, `-50.0-60.0`, or the start alone: `_30000`, `_000030`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_DIGITS_OF_PROOF = 4
_EXACT_SECONDS = 0.0005
_TIME = r"(\d{1,9}(?:\.\d{1,6})?)"
_TIMES = rf"([-_. ,]){_TIME}([-_ ,]|_to_){_TIME}"
# Where `0_0.1_2` begins its times nobody can tell: both ways are taken.
_FROM_TO = [re.compile(base + _TIMES, re.ASCII | re.DOTALL) for base in (".+?", ".+")]
_FROM = re.compile(rf".+?([-_. ,]){_TIME}", re.ASCII | re.DOTALL)


class _Number(NamedTuple):
    """How a number is written: with zeros in front up to a width (0 for none), and decimals."""

    width: int
    decimals: int

    @classmethod
    def like(cls, text: str) -> "_Number":
        whole, _, fraction = text.partition(".")
        return cls(len(text) if whole[0] == "0" and whole[1:] else 0, len(fraction))

    def text(self, number: float, exact: float) -> str | None:
        """Return the number written like this, or None where that differs by `exact`."""
        text = f"{number:.{self.decimals}f}"
        return text.zfill(self.width) if abs(float(text) - number) < exact else None


class SegmentNaming(NamedTuple):
    """One way to write a range's times behind the name of its recording.

    gap: what stands before the times, between: what between them, empty where the start is alone.

    >>> naming = next(SegmentNaming.all_in("Yabc_50.0-60.0"))
    >>> list(naming.names("bcd", 7.5, 17.5))
    [('bcd_7.5-17.5', True)]
    """

    gap: str
    start: _Number
    between: str
    end: _Number

    @classmethod
    def all_in(cls, stem: str) -> Iterator["SegmentNaming"]:
        """Yield the ways in which a file's name may end with the times of a range."""
        for pattern in _FROM_TO:
            found = pattern.fullmatch(stem)
            if found:
                gap, start, between, end = found.groups()
                yield cls(gap, _Number.like(start), between, _Number.like(end))
        found = _FROM.fullmatch(stem)
        if found:
            gap, start = found.groups()
            yield cls(gap, _Number.like(start), "", _Number(0, 0))

    def names(
        self, recording: str, start_seconds: float, end_seconds: float | None
    ) -> Iterator[tuple[str, bool]]:
        """Yield the names of a range's file, without suffix, and whether the name is proof.

        Times are exact to a millisecond, or there is no such name. A small whole number alone is
        no proof: it may count the clips of a recording.
        """
        # Zeros in front are those of seconds: `_000030`.
        in_milliseconds = not any((*self.start, *self.end))
        for scale in (1, 1000) if in_milliseconds else (1,):
            exact = _EXACT_SECONDS * scale
            start = self.start.text(start_seconds * scale, exact)
            if start is None:
                continue
            if not self.between:
                proof = "." in start or len(start) >= _DIGITS_OF_PROOF
                yield f"{recording}{self.gap}{start}", proof
            elif end_seconds is not None:
                end = self.end.text(end_seconds * scale, exact)
                if end is not None:
                    yield f"{recording}{self.gap}{start}{self.between}{end}", True
