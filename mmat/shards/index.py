"""What an `index.json` says, checked when it is read: a folder of shards may come from anywhere.

`docs/shards.md` describes the fields. A wrong one would be found late else, by a traceback or by a
batch that fills the memory.
"""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping

from mmat.media.read import SAMPLE_RATE_HZ
from mmat.shards.frozen import ENCODER, IMAGE_SHA256, IMAGE_SIZE, frozen_shapes
from mmat.shards.record import FRAME_BYTES, SCHEMA_VERSION

ADDING = "adding"  # in the index while an encoder is added
SUMMED = ("clips", "failures", "with_audio", "with_video")
MAX_RECORD_BYTES = 1 << 31  # a protocol buffer is smaller
MAX_CLIP_SECONDS = MAX_RECORD_BYTES / (2 * SAMPLE_RATE_HZ)  # 18.6 hours
_MAX_FRAMES, _MAX_SIZE, _MAX_SHARDS, _MAX_COUNT = 100_000, 1_000_000, 1_000_000, 1 << 53
_SHARD_NAME = re.compile(r"[^/\\\0]+-\d{5,}-of-\d{5,}\.tfrecord")
_SHOWN_AT_MOST = 60  # characters of a wrong value


@dataclasses.dataclass(frozen=True)
class _Field:
    """What a field must be, in words and as a test. from_prepare: `mmat prepare` writes it always.

    optional: it may be missing also there.
    """

    what: str
    is_right: Callable[[object], bool]
    from_prepare: bool = False
    optional: bool = False


def _count(low: int, high: int, **more: bool) -> _Field:
    what = f"a whole number from {low} to {high:,}"
    return _Field(what, lambda x: type(x) is int and low <= x <= high, **more)


def _text(**more: bool) -> _Field:
    return _Field("a text", lambda x: isinstance(x, str), **more)


def _text_or_null(**more: bool) -> _Field:
    return _Field("a text or null", lambda x: x is None or isinstance(x, str), **more)


def _boolean(**more: bool) -> _Field:
    return _Field("true or false", lambda x: isinstance(x, bool), **more)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(x, str) and x for x in value) and value != []


def _is_seconds(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and value * SAMPLE_RATE_HZ >= 1 and value < MAX_CLIP_SECONDS)


def _is_output(value: object) -> bool:
    return value is None or isinstance(value, str) or type(value) is int


_OPTIONAL, _WRITTEN = {"optional": True}, {"from_prepare": True}
_SETTINGS = {
    "labels": _Field("a list of names", _is_names),
    "task": _text_or_null(**_OPTIONAL),
    "sample_rate_hz": _count(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, **_WRITTEN),
    "clip_seconds": _Field(
        f"null or seconds above 0 and below {MAX_CLIP_SECONDS:,.0f}", _is_seconds
    ),
    "n_frames": _count(0, _MAX_FRAMES),
    "image_network": _text_or_null(**_WRITTEN),
    "image_size_px": _count(1, _MAX_SIZE, **_WRITTEN),
    "keep_frames": _boolean(**_WRITTEN),
    "clips_per_shard": _count(1, _MAX_COUNT, **_WRITTEN),
}
_SUMS = {
    "n_image_labels": _count(0, _MAX_SIZE),
    "list_sha256": _text(**_WRITTEN),
    "failures": _count(0, _MAX_COUNT, **_WRITTEN),
    "warnings": _count(0, _MAX_COUNT, **_OPTIONAL),
}
_FROZEN = {
    ENCODER: _Field("an object or null", lambda x: x is None or isinstance(x, dict), optional=True),
    IMAGE_SIZE: _count(0, _MAX_SIZE, **_OPTIONAL),
    IMAGE_SHA256: _text_or_null(**_OPTIONAL),
}
_ENCODER_FIELDS = {
    "name": _text(),
    "handle": _text(),
    "sha256": _text(),
    "embedding_size": _count(1, _MAX_SIZE),
    "n_labels": _count(0, _MAX_SIZE),
    "hop_samples": _count(1, MAX_RECORD_BYTES),
    "window_samples": _count(1, MAX_RECORD_BYTES),
    "embedding_output": _Field("a position, a name or null", _is_output),
    "scores_output": _Field("a position, a name or null", _is_output),
}
_SPLIT_FIELDS = {
    "listed": _count(0, _MAX_COUNT, **_WRITTEN),
    "shards": _count(0, _MAX_SHARDS, **_WRITTEN),
    "clips": _count(0, _MAX_COUNT),
    "failures": _count(0, _MAX_COUNT, **_WRITTEN),
    "with_audio": _count(0, _MAX_COUNT, **_WRITTEN),
    "with_video": _count(0, _MAX_COUNT, **_WRITTEN),
    "files": _Field("a list", lambda x: isinstance(x, list)),
}
_ENTRY_FIELDS = {
    "name": _Field(
        "the name of a shard", lambda x: isinstance(x, str) and bool(_SHARD_NAME.fullmatch(x))
    ),
    "bytes": _count(0, _MAX_COUNT),
    "sha256": _text(**_WRITTEN),
    "clips": _count(0, _MAX_COUNT),
    "failures": _count(0, _MAX_COUNT, **_WRITTEN),
    "with_audio": _count(0, _MAX_COUNT, **_WRITTEN),
    "with_video": _count(0, _MAX_COUNT, **_WRITTEN),
    "n_image_labels": _count(0, _MAX_SIZE, **_WRITTEN),
    "warnings": _count(0, _MAX_COUNT, **_OPTIONAL),
    "media_sha256": _text(**_OPTIONAL),
}


def parsed_index(text: str) -> dict:
    """Return the index in a file's text; raises ValueError, in one line, where it is wrong.

    Of another schema version only the shards are checked.

    >>> parsed_index('{"schema_version": 1, "splits": {}, "labels": ["Dog"], "n_frames": -1}')
    Traceback (most recent call last):
    ValueError: no clip_seconds
    """
    try:
        index = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("brackets within brackets without end") from None
    if not isinstance(index, dict):
        raise ValueError("no JSON object")
    _check(index, {"schema_version": _count(0, _MAX_COUNT)})
    _check(index, {"complete": _boolean(**_OPTIONAL)})
    _check_shards(index)
    if index["schema_version"] == SCHEMA_VERSION:
        check_settings(index)
        _check(index, _SUMS, written="complete" in index)
        _check_frozen(index)
        _check_sizes(index)
    return index


def check_settings(index: Mapping) -> None:
    """Raise ValueError, in one line, for settings that no shards can have."""
    _check(index, _SETTINGS, written="complete" in index)


def shard_entries(index: dict) -> list[dict]:
    """Return an index's entry of every shard."""
    return [entry for split in index["splits"].values() for entry in split["files"]]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _check(values: object, fields: Mapping[str, _Field], where: str = "", written=False) -> None:
    """Check fields by a table. where: what they are of. written: `mmat prepare` wrote it all."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: {_shown(values)} is no object")
    for name, field in fields.items():
        full = f"{where}: {name}" if where else name
        if name not in values:
            if field.optional or (field.from_prepare and not written):
                continue
            raise ValueError(f"no {full}" if not where else f"{where}: no {name}")
        if not field.is_right(values[name]):
            raise ValueError(f"{full} {_shown(values[name])}, which is not {field.what}")


def _check_shards(index: dict) -> None:
    written = "complete" in index
    _check(index, {"splits": _Field("an object", lambda x: isinstance(x, dict))})
    for name, split in index["splits"].items():
        where = f"split {_shown(name)}"
        _check(split, _SPLIT_FIELDS, where, written)
        for entry in split["files"]:
            _check(entry, _ENTRY_FIELDS, f"{where}, a shard", written)
            # Arrays are made for so many clips before any is read.
            n_clips, n_bytes = entry["clips"], entry["bytes"]
            if n_clips > n_bytes // FRAME_BYTES:
                raise ValueError(f"{entry['name']}: {n_clips} clips in {n_bytes} bytes")
        n_bytes = sum(entry["bytes"] for entry in split["files"])
        if index.get("complete", True) and split["clips"] > n_bytes // FRAME_BYTES:
            raise ValueError(f"{where}: {split['clips']} clips in {n_bytes} bytes")


def _check_frozen(index: dict) -> None:
    entries = [index]
    if ADDING in index:
        is_names = _Field("a list of shards", lambda x: x == [] or _is_names(x))
        is_object = _Field("an object", lambda x: isinstance(x, dict))
        _check(index[ADDING], {"entries": is_object, "done": is_names}, ADDING)
        entries.append(index[ADDING]["entries"])
        if not isinstance(entries[-1].get(ENCODER), dict):
            raise ValueError(f"{ADDING}: no {ENCODER}")
    for each in entries:
        _check(each, _FROZEN)
        if each.get(ENCODER) is not None:
            _check(each[ENCODER], _ENCODER_FIELDS, ENCODER)


def _check_sizes(index: dict) -> None:
    """Raise ValueError where a clip would have more numbers than a record can hold."""
    shapes = {"image_probabilities": (index["n_frames"], index["n_image_labels"])}
    for entries in (index, index.get(ADDING, {}).get("entries", {})):
        shapes |= frozen_shapes(index | entries)
    for name, shape in shapes.items():
        if 2 * math.prod(n or 1 for n in shape) >= MAX_RECORD_BYTES:
            raise ValueError(f"{name} of shape {shape} in every clip")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN_AT_MOST else text[: _SHOWN_AT_MOST - 1] + "…"
