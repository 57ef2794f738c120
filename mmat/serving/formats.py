"""Taggings for programs: JSON, CSV, a list of events, and a label track for Audacity."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Iterator

from mmat.serving.tagging import Reason, Tag, Tagging

CSV_HEADER = ["file", "label", "score", "fired", "audio_score", "video_score"]
EVENTS_HEADER = ["filename", "onset", "offset", "event_label"]


@dataclasses.dataclass(frozen=True)
class Form:
    """How taggings are written: one by one, with what comes before, between and after them."""

    one: Callable[[Tagging], str]
    before: str = ""
    between: str = "\n"
    after: str = "\n"

    def write(self, taggings: Iterable[Tagging]) -> Iterator[str]:
        """Yield the text bit by bit, each tagging as soon as it is there."""
        begun = False
        for tagging in taggings:
            text = self.one(tagging)
            if not begun:
                yield self.before + text
            elif text:
                yield self.between + text
            begun = True
        yield self.after if begun else self.before + self.after.lstrip()


def json_form(several: bool, explain: bool = False) -> Form:
    """Return JSON: an object for the one file, or an array of objects.

    `task` says what the scores are: `multi-label`, `multi-class` or `regression LOW HIGH`.
    `audio_score` and `video_score` are null where a branch said nothing. explain: tags also have
    `reasons`: sense, name, probability, similarity, seconds.

    >>> print("".join(json_form(several=True).write([])), end="")
    [
    ]
    """

    def one(tagging: Tagging) -> str:
        reasons = _by_label(tagging.reasons) if explain else {}
        whole = {
            "file": tagging.file,
            "task": str(tagging.task),
            "duration_seconds": round(tagging.duration_seconds, 6),
            "has_audio": tagging.has_audio,
            "has_video": tagging.has_video,
            "tags": [_tag(tag, explain, reasons.get(tag.label, [])) for tag in tagging.tags],
            "events": [vars(event) for event in tagging.events],
        }
        if tagging.problem:
            whole["problem"] = tagging.problem
        return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)

    return Form(one, "[\n", ",\n", "\n]\n") if several else Form(one)


def _tag(tag: Tag, explain: bool, reasons: list[Reason]) -> dict:
    if explain:
        more = [{k: v for k, v in reason._asdict().items() if k != "label"} for reason in reasons]
        return vars(tag) | {"reasons": more}
    return vars(tag)


def _by_label(reasons: Iterable[Reason]) -> dict[str, list[Reason]]:
    found: dict[str, list[Reason]] = {}
    for reason in reasons:
        found.setdefault(reason.label, []).append(reason)
    return found


def csv_form() -> Form:
    """Return CSV: a header and a row for every file and label; what was not said is empty.

    >>> "".join(csv_form().write([]))
    'file,label,score,fired,audio_score,video_score\\n'
    """

    def one(tagging: Tagging) -> str:
        rows = []
        for tag in tagging.tags:
            scores = [None if x is None else f"{x:.6f}" for x in (tag.audio_score, tag.video_score)]
            rows.append([tagging.file, tag.label, f"{tag.score:.6f}", int(tag.fired), *scores])
        return _rows(rows)

    return Form(one, _rows([CSV_HEADER]), "", "")


def events_form() -> Form:
    """Return the events of all files as sed_eval reads them: tabs, a header, a row an event.

    >>> "".join(events_form().write([]))
    'filename\\tonset\\toffset\\tevent_label\\n'
    """

    def one(tagging: Tagging) -> str:
        return _rows(
            [
                [
                    tagging.file,
                    f"{e.onset_seconds:.3f}",
                    f"{e.offset_seconds:.3f}",
                    tagging.text_of(e),
                ]
                for e in tagging.events
            ],
            "\t",
        )

    return Form(one, _rows([EVENTS_HEADER], "\t"), "", "")


def audacity_form() -> Form:
    """Return the events of one file as a label track that Audacity imports: from, to, label."""

    def one(tagging: Tagging) -> str:
        rows = [(e.onset_seconds, e.offset_seconds, tagging.text_of(e)) for e in tagging.events]
        return _rows([[f"{begin:.6f}", f"{end:.6f}", label] for begin, end, label in rows], "\t")

    return Form(one, "", "", "")


def _rows(rows: list[list], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    # A tab or a line break in a name would be read as another row.
    writer.writerows([[_one_line(x) if delimiter == "\t" else x for x in row] for row in rows])
    return text.getvalue()


def _one_line(cell) -> str:
    return " ".join(str(cell).split()) if any(c in str(cell) for c in "\t\r\n") else str(cell)
