"""Label sets: the names of the sound events, in the order of all scores, and their task.

A task is what the labels of a set mean together; it decides a model's activation and loss.
"""

import collections
import contextlib
import csv
import dataclasses
import functools
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator

from mmat.files import InputError
from mmat.tables import DELIMITERS, numbered_lines, open_table, read_table, row_or_none

FRAME_HZ = 10.0  # of the frame scores that models return
# Zero width: spaces, joiners, marks of direction, soft hyphens. Between letters beyond Latin the
# two joiners are spelling (Persian, the scripts of India, emoji).
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
    "|(?<![\u0370-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0370-\U0010ffff])"
)
_ALIKE = {"LATIN", "CYRILLIC", "GREEK"}  # scripts that share the look of letters
# Letters of Cyrillic and Greek that look as Latin ones do.
_LATIN = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеорсухіјѕԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧοναρ",
    "ABESIJKMHOPCTYXaeopcyxijsdqwhABEZHIKMNOPTYXovap",
)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model of a label set predicts.

    activation: Keras's name of the function that turns logits of frames into scores. loss: Keras's
    name of the loss of clips. low, high: the range of the scores.

    >>> str(MULTI_CLASS), str(regression(-3, 3))
    ('multi-class', 'regression -3 3')
    """

    kind: str
    activation: str
    loss: str
    low: float = 0.0
    high: float = 1.0

    @property
    def is_multi_class(self) -> bool:
        """Whether a clip has exactly one of the labels."""
        return self.activation == "softmax"

    @property
    def is_regression(self) -> bool:
        """Whether each label is a quantity, of which every clip has a value."""
        return self.kind == "regression"

    @property
    def missing_score(self) -> float:
        """The score of a clip that lacks what a model needs, such as sound.

        It is 0, and for a regression the middle of the scale.

        >>> MULTI_CLASS.missing_score, regression(1, 5).missing_score
        (0.0, 3.0)
        """
        return (self.low + self.high) / 2 if self.is_regression else 0.0

    @classmethod
    def from_text(cls, text: str) -> "Task":
        """Read what `str` gives; an empty text is multi-label. Raises InputError for others.

        >>> Task.from_text("regression -3 3").high
        3.0
        """
        name = " ".join(text.split()) or str(MULTI_LABEL)
        kind, *ends = name.split()
        try:
            if kind == "regression":
                low, high = map(float, ends)
            else:
                return {str(task): task for task in (MULTI_LABEL, MULTI_CLASS)}[name]
        except (KeyError, ValueError):
            known = f"{MULTI_LABEL}, {MULTI_CLASS} and 'regression LOW HIGH'"
            raise InputError(f"unknown task {text!r}; there are {known}") from None
        return regression(low, high)

    def __str__(self) -> str:
        # All digits, so that a value at an end is still in the range when that is read again.
        ends = [repr(end).removesuffix(".0") for end in (self.low, self.high)]
        return " ".join([self.kind, *ends] if self.is_regression else [self.kind])


MULTI_LABEL = Task("multi-label", "sigmoid", "binary_crossentropy")
MULTI_CLASS = Task("multi-class", "softmax", "categorical_crossentropy")


def regression(low: float, high: float) -> Task:
    """Return the task of values from `low` to `high`; raises InputError for an empty range."""
    if not (math.isfinite(high - low) and low < high):
        raise InputError(f"regression: no values lie between {low:g} and {high:g}")
    return Task("regression", "sigmoid", "mean_absolute_error", float(low), float(high))


def task_entry(task: Task) -> str | None:
    """Return a task as files hold it: None for multi-label, as in files older than tasks.

    >>> task_entry(MULTI_CLASS), task_entry(MULTI_LABEL)
    ('multi-class', None)
    """
    return None if task == MULTI_LABEL else str(task)


def names_in(text: str) -> list[str]:
    """Return the names in a text that are separated by `;`, for names may hold commas.

    >>> names_in("Dog;  Train   horn;;")
    ['Dog', 'Train horn']
    """
    return [name for name in map(clean_name, text.split(";")) if name]


def clean_name(name: str) -> str:
    """Return a label's name as mmat compares it: in Unicode's NFC, without what nobody can see.

    Characters of zero width are left out, and white space is one space.

    >>> clean_name("  Cafe\u0301   \u200bnoise\ufeff") == "Caf\u00e9 noise"
    True
    """
    if not name.isascii():
        name = _INVISIBLE.sub("", unicodedata.normalize("NFC", name))
    return " ".join(name.split())


def look_alikes(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that is easily taken for another one.

    Such names differ in nothing but the case of letters, in full width or the like, or in letters
    of Cyrillic and Greek that look as Latin ones; or one word mixes these scripts.

    >>> look_alikes(["Dog", "dog", "Cat"])
    ["the labels 'Dog' and 'dog' look alike, but are two labels"]
    >>> len(look_alikes(["D\\N{CYRILLIC SMALL LETTER O}g"]))
    1
    """
    found, seen = [], {}
    for name in names:
        skeleton = unicodedata.normalize("NFKC", name).translate(_LATIN).casefold()
        if skeleton in seen:
            pair = f"{seen[skeleton]!a} and {name!a}"
            found.append(f"the labels {pair} look alike, but are two labels")
        elif scripts := _mixed_scripts(name):
            mixed = " and ".join(sorted(scripts))
            found.append(f"the label {name!a} mixes letters of {mixed} in one word")
        seen.setdefault(skeleton, name)
    return found


def _mixed_scripts(name: str) -> set[str]:
    """Return the scripts that a word of a name mixes, of those that look alike; else nothing."""
    if name.isascii():
        return set()
    for word in re.findall(r"[^\W\d_]+", name):
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
        if len(scripts & _ALIKE) > 1 and word.translate(_LATIN) != word:
            return scripts & _ALIKE
    return set()


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """An ordered set of class names, with optional machine ids and synonyms.

    names: display names, unique, as `clean_name` gives them. mids: one machine id (AudioSet's
    `/m/…`) a name, may be empty strings. synonyms: other names of each class, used by the label map
    of the video branch. task: what the labels mean together; in a regression each is the name of a
    quantity.

    >>> labels = LabelSet.of(["Dog", "Train horn"])
    >>> labels.index("Train horn"), len(labels)
    (1, 2)
    """

    names: tuple[str, ...]
    mids: tuple[str, ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()
    task: Task = MULTI_LABEL

    def __post_init__(self):
        object.__setattr__(self, "names", tuple(map(clean_name, self.names)))
        if not self.names:
            raise InputError("a label set needs at least one name")
        twice = sorted(name for name, n in collections.Counter(self.names).items() if n > 1)
        if twice:
            raise InputError(f"a label set names {twice[0]!r} twice; keep one of them")
        for field in ("mids", "synonyms"):
            if not getattr(self, field):
                empty = "" if field == "mids" else ()
                object.__setattr__(self, field, (empty,) * len(self.names))
            if len(getattr(self, field)) != len(self.names):
                raise InputError(f"a label set needs as many {field} as names")

    @classmethod
    def of(cls, names) -> "LabelSet":
        """Make a label set of names alone."""
        return cls(tuple(names))

    @classmethod
    def from_text(cls, text: str) -> "LabelSet":
        """Read names separated by `;`, for names may hold commas.

        Raises InputError where there is no name, or one of them twice.

        >>> LabelSet.from_text("Dog; Fire engine, fire truck (siren)").names
        ('Dog', 'Fire engine, fire truck (siren)')
        """
        names = names_in(text)
        if not names:
            raise InputError(f"labels {text!r}: no name in it; write 'Dog;Train'")
        return cls.of(names)

    @classmethod
    def from_lines(cls, path: str | os.PathLike) -> "LabelSet":
        """Read a text file with a name a line; empty lines are skipped.

        Raises InputError where it cannot be read, holds no name or one twice.
        """
        with _reading(path), open_table(path, "label set") as file:
            names = [clean_name(line.decode()) for _, line in numbered_lines(path, file)]
        with _naming(path):
            return cls.of(name for name in names if name)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "LabelSet":
        """Read a file of either form: a CSV where its first line names `display_name`, else lines.

        What ends in `.csv` or `.tsv` must be a CSV. Raises InputError as `from_csv`, `from_lines`.
        """
        if os.fspath(path).lower().endswith((".csv", ".tsv")):
            return cls.from_csv(path)
        with open_table(path, "label set") as file:
            _, first = next(numbered_lines(path, file), (1, b""))
        is_csv = any("display_name" in row_or_none(first, mark) for mark in DELIMITERS)
        return cls.from_csv(path) if is_csv else cls.from_lines(path)

    @classmethod
    def from_csv(cls, path: str | os.PathLike) -> "LabelSet":
        """Read `index,mid,display_name[,synonyms][,task]` (AudioSet's form; synonyms by `;`).

        task: `multi-class` or `regression LOW HIGH`, the same in every row; multi-label without.
        Raises InputError with the line's number where a row is wrong.
        """
        names, mids, synonyms, tasks = [], [], [], []
        for line, row in read_table(path, "label set", ["display_name"]):
            name = clean_name(row["display_name"])
            if not name:
                raise InputError(f"{path}:{line}: the row has no display_name")
            names.append(name)
            mids.append(row.get("mid", ""))
            synonyms.append(tuple(names_in(row.get("synonyms", ""))))
            tasks.append(_task(row.get("task", ""), tasks, f"{path}:{line}"))
        with _naming(path):
            return cls(tuple(names), tuple(mids), tuple(synonyms), *tasks[:1])

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the label set in the form that `from_csv` reads."""
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            entry = task_entry(self.task)
            task = {"task": entry} if entry else {}
            writer.writerow(["index", "mid", "display_name", "synonyms", *task])
            for i, row in enumerate(zip(self.mids, self.names, self.synonyms, strict=True)):
                writer.writerow([i, row[0], row[1], ";".join(row[2]), *task.values()])

    def index(self, name: str) -> int:
        """Return the position of a name; raises InputError for a name that is not in the set."""
        try:
            return self._places[name]
        except KeyError:
            known = ", ".join(self.names[:8]) + (", …" if len(self.names) > 8 else "")
            raise InputError(f"unknown label {name!r}; known: {known}") from None

    def names_by_mid(self) -> dict[str, str]:
        """Return the names of the classes that have a machine id, by that."""
        return {mid: name for mid, name in zip(self.mids, self.names, strict=True) if mid}

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)


SENTIMENT = LabelSet(("sentiment",), task=regression(-3, 3))  # CMU-MOSI's scale


def classes_and_task(labels: LabelSet | int, task: Task | None = None) -> tuple[int, Task]:
    """Return how many classes a model of these labels has, and their task.

    labels: a label set, which knows its task, or a number of classes. task: for a number of
    classes, default multi-label. Raises InputError for another task than the label set's.

    >>> n_classes, task = classes_and_task(LabelSet.of(["Dog", "Train horn"]))
    >>> n_classes, str(task), str(classes_and_task(3, regression(-3, 3))[1])
    (2, 'multi-label', 'regression -3 3')
    """
    if not isinstance(labels, LabelSet):
        return int(labels), task or MULTI_LABEL
    if task not in (None, labels.task):
        raise InputError(f"task: the labels are {labels.task}, not {task}; leave `task` out")
    return len(labels), labels.task


def shown(name: str) -> str:
    """Return a label in quotes for a message, in ASCII where it mixes scripts that look alike.

    >>> print(shown("Ähre"), shown("D\\N{CYRILLIC SMALL LETTER O}g"))
    'Ähre' 'D\\u043eg'
    """
    return ascii(name) if _mixed_scripts(name) else repr(name)


@contextlib.contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn what reading a text file raises into an InputError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file; save the list as UTF-8") from error


@contextlib.contextmanager
def _naming(where: str | os.PathLike) -> Iterator[None]:
    """Put the place in front of an InputError's text."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _task(text: str, before: list[Task], where: str) -> Task:
    with _naming(where):
        task = Task.from_text(text)
    if before and task != before[0]:
        raise InputError(f"{where}: the task is {task}, in the rows above {before[0]}; name one")
    return task
