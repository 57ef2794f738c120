"""A folder of folders as a clip list: what lies in `dog/` is labelled `dog`.

What lies in `_noise` or `background` holds none of the labels. Files may lie at any depth below a
label's folder: the first folder there is what they have in common, such as a recorder or a speaker,
and is their source group in every label.
"""

import collections
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator

from mmat.files import InputError
from mmat.labels import LabelSet, clean_name
from mmat.lists.clip import Clip, Segment
from mmat.lists.read import ReadList, warn_of_look_alikes

NO_LABEL_FOLDERS = ("_noise", "background")  # in any case of letters
_ADVICE = "give a folder for each label, with sound or video in it"


@dataclasses.dataclass(frozen=True, eq=False)
class ReadFolder(ReadList):
    """The clips of a folder of folders, and which of its files are none.

    left_out: paths of other files, in the folder. copies: paths of files that another file of the
    same label holds byte for byte.
    """

    left_out: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()


def read_folder(
    folder: str | os.PathLike,
    suffixes: Collection[str],
    labels: LabelSet | None = None,
    split: str = "train",
) -> ReadFolder:
    """Read a folder with a folder for each label as a clip list.

    suffixes: of media files, in small letters with the dot (`mmat.media.folder.MEDIA_SUFFIXES`);
    other files are left out, hidden ones without a word. labels: those allowed; default the names
    of the folders, sorted. Files of one path and content in several labels are one clip with all
    of these labels; files named as segments of one web video share its source group. Paths are
    relative to the folder. Raises InputError for a folder that is missing or empty, holds files
    alone, an unknown label, a label without a media file, or a file both labelled and not.

    >>> import tempfile
    >>> top = pathlib.Path(tempfile.mkdtemp())
    >>> for path in ("dog/home/a.wav", "cat/b.wav", "_noise/c.wav", "cat/notes.txt"):
    ...     (top / path).parent.mkdir(parents=True, exist_ok=True)
    ...     _ = (top / path).write_text(path)
    >>> found = read_folder(top, {".wav"})
    >>> [(clip.file, clip.labels, clip.source_groups) for clip in found.clips][1:]
    [('cat/b.wav', ('cat',), ('cat/b.wav',)), ('dog/home/a.wav', ('dog',), ('home',))]
    >>> found.labels.names, found.left_out
    (('cat', 'dog'), ('cat/notes.txt',))
    """
    folder = pathlib.Path(folder)
    label_folders, left_out = _label_folders(folder)
    files: dict[str, list[str]] = {}
    copies: list[str] = []
    for name in label_folders:
        found = list(_files(folder / name))
        media = [path for path in found if _is_media(path, suffixes)]
        left_out += [f"{name}/{path}" for path in found if not _is_media(path, suffixes)]
        if not media:
            raise InputError(
                f"{folder / name}: no sound and no video in this label's folder; add some, or "
                "remove the folder"
            )
        files[name], same = _once(folder / name, media)
        copies += [f"{name}/{path}" for path in same]
    names = [name for name in label_folders if name.lower() not in NO_LABEL_FOLDERS]
    if not names:
        raise InputError(f"{folder}: every clip is without a label; {_ADVICE}")
    labels = labels or LabelSet.of(names)
    warn_of_look_alikes(folder, labels)
    for name in names:
        if clean_name(name) not in labels.names:
            raise InputError(f"{folder / name}: unknown label {name!r}; rename the folder")
    clips = [_clip(name, path, also, split) for name, path, also in _joined(folder, files)]
    return ReadFolder(clips, labels, (), tuple(left_out), tuple(copies))


def _label_folders(folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """Return the names of the folders in a folder, and of its files; raises InputError."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot read the folder: {error.strerror}") from error
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [entry.name for entry in entries if entry.is_dir()]
    files = [entry.name for entry in entries if not entry.is_dir()]
    if not entries:
        raise InputError(f"{folder}: the folder is empty; {_ADVICE}")
    if not folders:
        raise InputError(f"{folder}: holds files, but no folder of a label; {_ADVICE}, or a list")
    for name in folders:
        if not name.isprintable():
            raise InputError(f"{folder}: the folder {name!r} cannot be a label; rename it")
    return folders, files


def _files(folder: pathlib.Path) -> Iterator[str]:
    """Yield the paths of all files that are not hidden, in the folder, sorted."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(where, folder).replace(os.sep, "/")
        for name in sorted(name for name in names if not name.startswith(".")):
            yield name if inside == "." else f"{inside}/{name}"


def _is_media(path: str, suffixes: Collection[str]) -> bool:
    """Return whether a name is that of media; one that a table cannot hold is not."""
    return os.path.splitext(path)[1].lower() in suffixes and path.isprintable()


def _once(folder: pathlib.Path, files: list[str]) -> tuple[list[str], list[str]]:
    """Return the files of different content, and those that hold what an earlier one holds."""
    sizes = collections.Counter(_size(folder / path) for path in files)
    seen, first, copies = set(), [], []
    for path in files:
        content = _content(folder / path) if sizes[_size(folder / path)] > 1 else path
        (copies if content in seen else first).append(path)
        seen.add(content)
    return first, copies


def _joined(
    folder: pathlib.Path, files: dict[str, list[str]]
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (folder, path in it, other labels) of each clip; raises InputError."""
    having: dict[tuple, list[str]] = collections.defaultdict(list)
    places = collections.Counter(
        (path, _size(folder / name / path)) for name, paths in files.items() for path in paths
    )
    for name, paths in files.items():
        for path in paths:
            full = folder / name / path
            shared = places[path, _size(full)] > 1
            having[path, _content(full) if shared else name].append(name)
    for (path, _), names in having.items():
        unlabelled = [name for name in names if name.lower() in NO_LABEL_FOLDERS]
        if unlabelled and names[1:]:
            others = ", ".join(name for name in names if name not in unlabelled) or names[1]
            raise InputError(
                f"{folder / unlabelled[0] / path}: lies in {others} too; remove one of them"
            )
        yield names[0], path, names[1:]


def _clip(name: str, path: str, also: Iterable[str], split: str) -> Clip:
    file = f"{name}/{path}"
    labels = () if name.lower() in NO_LABEL_FOLDERS else tuple(map(clean_name, (name, *also)))
    inside, _, base = path.rpartition("/")
    segment = Segment.named(base)
    groups = [*inside.split("/")[:1], segment.video_id if segment else ""]
    return Clip(file, file, labels, split=split, source_group=";".join(filter(None, groups)))


def _size(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nothing: whoever reads it says so
        return -1


def _content(path: pathlib.Path) -> str:
    """Return a sha256 of a file's content; of one that cannot be read its name."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return str(path)
