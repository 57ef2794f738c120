"""The last few of something that is costly to make again."""

import collections
from collections.abc import Hashable
from typing import Any


class Recent:
    """Keeps the `n` values that were put in or asked for last.

    >>> recent = Recent(2)
    >>> for key in "abc":
    ...     recent.put(key, key.upper())
    >>> recent.get("a"), recent.get("c")
    (None, 'C')
    """

    def __init__(self, n: int):
        self._n = n
        self._values: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value, and let go of the one that nobody asked for longest."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._n:
            self._values.popitem(last=False)

    def get(self, key: Hashable) -> Any | None:
        """Return a value, or None if it is no longer here."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)
