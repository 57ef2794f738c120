"""The names that the pretrained networks know: YAMNet's of AudioSet, and the image network's.

Both lists lie beside the fetched weights; no network is loaded for them.
"""

from typing import NamedTuple

from mmat.pretrained.embedded import yamnet_labels
from mmat.pretrained.registry import imagenet_labels

EAR, EYE = "ear", "eye"


class KnownName(NamedTuple):
    """A name that may be asked for: by which senses it is known, and its synonyms."""

    name: str
    by: tuple[str, ...]
    synonyms: tuple[str, ...] = ()


def network_names() -> list[KnownName]:
    """Return what each network calls its outputs: what is heard, then what is only seen.

    A name comes once, whatever its letter case; things of one name have the synonyms of all. Raises
    InputError where weights were not fetched.

    >>> names = network_names()
    >>> names[0], len([known for known in names if known.by == ("ear",)])
    (KnownName(name='Speech', by=('ear',), synonyms=()), 521)
    """
    found = {name.casefold(): KnownName(name, (EAR,)) for name in yamnet_labels()}
    for name, *synonyms in imagenet_labels():
        known = found.setdefault(name.casefold(), KnownName(name, (EYE,)))
        if EYE in known.by:
            every = dict.fromkeys((*known.synonyms, *synonyms))
            found[name.casefold()] = known._replace(synonyms=tuple(every))
    return list(found.values())
