"""What people call sounds, beyond the names that AudioSet has for them: "woof", "a cow mooing".

Names are compared by their words without endings, order and fillers, and `data_lists/words/` says
what words of sounds mean. Both are ours; no network is asked.
"""

import csv
import dataclasses
import functools
import itertools
import re

from mmat.files import data_list

# They tell no sound from another.
_FILLERS = frozenset(
    ["a", "an", "and", "at", "by", "from", "in", "is", "making", "noise", "noises", "of", "on"]
    + ["or", "some", "someone", "sound", "sounds", "the", "to", "with"]
)
_ENDINGS = (("ies", "y"), ("ing", ""), ("s", ""))  # the first that fits
_SHORTEST = 3  # letters that are left of a word: "ring" is no ending
_COLUMNS = ("words", "verbs", "things")
_KEPT = ("ss", "us")  # "glass" and "bus" are no plurals


@dataclasses.dataclass(frozen=True)
class EverydaySound:
    """A row of the list: what its words mean alone, and its words or verbs with one of its things.

    words, verbs, things: each the stems of a phrase. names: AudioSet's.
    """

    words: tuple[frozenset[str], ...]
    verbs: tuple[frozenset[str], ...]
    things: tuple[frozenset[str], ...]
    names: tuple[str, ...]

    @property
    def is_thing(self) -> bool:
        """Whether the words are a thing, which can be seen, and not what it does."""
        return not self.things

    @functools.cached_property
    def together(self) -> set[frozenset[str]]:
        """The stems of each word or verb with each thing."""
        return {does | thing for does in self.words + self.verbs for thing in self.things}


def stems(text: str) -> frozenset[str]:
    """Return the words of a text without endings, order, and words that tell no sound.

    What a stem looks like does not matter, only that the forms of a word share it.

    >>> sorted(stems("A baby is crying")) == sorted(stems("baby_cries"))
    True
    """
    words = re.findall(r"[^\W\d_]+|\d+", text.casefold().replace("'s", ""))
    return frozenset(_stem(word) for word in words if word not in _FILLERS) or frozenset(words)


def _stem(word: str) -> str:
    for ending, put in _ENDINGS:
        if word.endswith(ending) and not word.endswith(_KEPT):
            cut = word.removesuffix(ending) + put
            if len(cut) >= _SHORTEST:
                word = cut
            break
    if len(word) > _SHORTEST and word.endswith("e"):
        word = word[:-1]  # sneezing, sneeze
    if len(word) > _SHORTEST and word[-1] == word[-2]:
        word = word[:-1]  # humming, hum
    return word


@functools.cache
def everyday_sounds() -> tuple[EverydaySound, ...]:
    """Return the rows of the list, in its order.

    >>> everyday_sounds()[0].names
    ('Bark',)
    """
    with open(data_list("words", "sounds.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        EverydaySound(
            *(tuple(stems(each) for each in row[key].split(";") if each) for key in _COLUMNS),
            tuple(row["names"].split(";")),
        )
        for row in rows
    )


def everyday_sound(label: str) -> EverydaySound | None:
    """Return what a label means by the list, None where it is not there.

    >>> everyday_sound("Woof").names, everyday_sound("a cow mooing").names
    (('Bark',), ('Moo',))
    """
    asked = stems(label)
    rows = everyday_sounds()
    with_its_thing = (row for row in rows if asked in row.together)
    alone = (row for row in rows if asked in row.words)
    return next(itertools.chain(with_its_thing, alone), None)
