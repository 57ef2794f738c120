"""Label sets: the names of the sound events, in the order every score follows."""

import collections
import csv
import dataclasses
import os

from mmat.errors import InputError
from mmat.tasks import MULTI_LABEL, Task, regression, task_entry


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """An ordered set of class names, with optional machine ids and synonyms.

    names: display names, unique. mids: one machine id (AudioSet's `/m/…`) a name, may be empty
    strings. synonyms: other names of each class, used by the label map of the video branch. task:
    what the labels mean together; of a regression each is the name of a quantity.

    >>> labels = LabelSet.of(["Dog", "Train horn"])
    >>> labels.index("Train horn"), len(labels)
    (1, 2)
    """

    names: tuple[str, ...]
    mids: tuple[str, ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()
    task: Task = MULTI_LABEL

    def __post_init__(self):
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

        Raises InputError where there is no name, or one stands there twice.

        >>> LabelSet.from_text("Dog; Fire engine, fire truck (siren)").names
        ('Dog', 'Fire engine, fire truck (siren)')
        """
        names = names_in(text)
        if not names:
            raise InputError(f"labels {text!r}: no name in it; write 'Dog;Train'")
        return cls.of(names)

    @classmethod
    def from_lines(cls, path: str | os.PathLike) -> "LabelSet":
        """Read a text file with a name a line; empty lines are passed over.

        Raises InputError where it cannot be read, holds no name or one twice.
        """
        try:
            with open(path, encoding="utf-8-sig") as file:
                names = [" ".join(line.split()) for line in file]
        except OSError as error:
            raise InputError(f"{path}: cannot read the label set: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not a UTF-8 text file; save the list as UTF-8") from error
        try:
            return cls.of(name for name in names if name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @classmethod
    def from_csv(cls, path: str | os.PathLike) -> "LabelSet":
        """Read `index,mid,display_name[,synonyms][,task]` (AudioSet's form; synonyms by `;`).

        task: `multi-class` or `regression LOW HIGH`, the same in every row; multi-label without.
        Raises InputError with the line's number where a row is wrong.
        """
        names, mids, synonyms, tasks = [], [], [], []
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file)
                if "display_name" not in (rows.fieldnames or ()):
                    raise InputError(f"{path}: no column 'display_name' in the first line")
                for row in rows:
                    name = (row["display_name"] or "").strip()
                    if not name:
                        raise InputError(f"{path}:{rows.line_num}: the row has no display_name")
                    names.append(name)
                    mids.append((row.get("mid") or "").strip())
                    others = (row.get("synonyms") or "").split(";")
                    synonyms.append(tuple(s.strip() for s in others if s.strip()))
                    tasks.append(_task(row.get("task") or "", tasks, f"{path}:{rows.line_num}"))
        except OSError as error:
            raise InputError(f"{path}: cannot read the label set: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not a UTF-8 text file; save the list as UTF-8") from error
        try:
            return cls(tuple(names), tuple(mids), tuple(synonyms), *tasks[:1])
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

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
            return self.names.index(name)
        except ValueError:
            known = ", ".join(self.names[:8]) + (", …" if len(self.names) > 8 else "")
            raise InputError(f"unknown label {name!r}; known: {known}") from None

    def __len__(self) -> int:
        return len(self.names)


def classes_and_task(labels: LabelSet | int, task: Task | None = None) -> tuple[int, Task]:
    """Return how many classes a model of these labels has, and what they mean together.

    labels: a label set, which knows its task, or a number of classes. task: of a number, default
    multi-label. Raises InputError for another task than the label set's.

    >>> n_classes, task = classes_and_task(LabelSet.of(["Dog", "Train horn"]))
    >>> n_classes, str(task), str(classes_and_task(3, regression(-3, 3))[1])
    (2, 'multi-label', 'regression -3 3')
    """
    if not isinstance(labels, LabelSet):
        return int(labels), task or MULTI_LABEL
    if task not in (None, labels.task):
        raise InputError(f"task: the labels are {labels.task}, not {task}; leave `task` out")
    return len(labels), labels.task


SENTIMENT = LabelSet(("sentiment",), task=regression(-3, 3))  # CMU-MOSI's scale


def _task(text: str, before: list[Task], where: str) -> Task:
    try:
        task = Task.from_text(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if before and task != before[0]:
        raise InputError(f"{where}: the task is {task}, in the rows above {before[0]}; name one")
    return task


def names_in(text: str) -> list[str]:
    """Return the names in a text that are separated by `;`, for names may hold commas.

    >>> names_in("Dog;  Train   horn;;")
    ['Dog', 'Train horn']
    """
    names = (" ".join(name.split()) for name in text.split(";"))
    return [name for name in names if name]
