"""The mini corpus: real recordings and photographs, and weakly labelled clips composed of them.

`CACHE/mini/` holds `sources/`, and `clips/` with a folder of `.mp4` files for each split,
`clips.csv`, `events.tsv` (the strong times) and `labels.csv`. The recordings and photographs are
those of `data_lists/mini/sources.csv` (see `mmat.corpora.sources`).
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from mmat.corpora.compose import ClipPlan, Composition, Sound, plan_clips
from mmat.corpora.render import render_clip
from mmat.corpora.sources import SourceFile, fetch_sources, read_sources
from mmat.files import InputError, atomic_path, cache_folder, data_list
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.lists.own import write_clip_list
from mmat.lists.read import read_list

CLIPS_A_SPLIT = {"train": 400, "validation": 150, "test": 400}
CORPUS_SEED = 2017
WORKERS = 2


def fetch_and_compose(
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    deb_folder: str | os.PathLike | None = None,
    progress: bool = True,
    clips_a_split: Mapping[str, int] = CLIPS_A_SPLIT,
) -> pathlib.Path:
    """Fetch the sources, compose the clips, and return the folder of the clips.

    What is there is kept, so it can be stopped and started again. `dry_run` only prints the plan.
    Raises InputError as `fetch_mini` does.
    """
    folder = mini_folder(cache)
    plans = _plans(clips_a_split)
    if _is_complete(folder, plans):
        if not dry_run:
            _add_source_groups(folder, plans)
        if progress:
            print(f"{folder}: the {len(plans)} clips are there")
        return folder
    source_folder = fetch_mini(cache, dry_run, deb_folder, progress)
    if dry_run:
        print(f"{len(plans)} clips of 10 s to compose into {folder}, about 250 MB")
        return folder
    media = {source.id: str(source_folder / source.file) for source in _sources()}
    _compose(plans, media, folder, progress)
    return folder


def fetch_mini(
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    deb_folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> pathlib.Path:
    """Fetch the mini corpus's recordings and photographs; return their folder.

    They go to `CACHE/mini/sources` (see `mmat.files.cache_folder`), their packages to `deb_folder`
    (default `CACHE/mini/debs`), which is not needed afterwards. Files that are there are kept. With
    `dry_run` only print what would be fetched, without network and without writing. Raises
    `InputError` as `fetch_sources` does.

    >>> folder = fetch_mini("no/cache", dry_run=True)  # doctest: +ELLIPSIS
    package ...
    ... files to extract into no/cache/mini/sources
    about ... MB to download into no/cache/mini/debs
    """
    folder = cache_folder(cache) / "mini"
    deb_folder = folder / "debs" if deb_folder is None else pathlib.Path(deb_folder)
    fetch_sources(_sources(), folder / "sources", deb_folder, dry_run, progress)
    return folder / "sources"


def mini_folder(cache: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of the composed clips, whether or not they are there yet."""
    return cache_folder(cache) / "mini" / "clips"


def mini_labels() -> LabelSet:
    """Return the label set of the mini corpus.

    >>> len(mini_labels())
    11
    """
    return LabelSet.from_csv(data_list("mini", "labels.csv"))


def read_mini(cache: str | os.PathLike | None = None) -> list[Clip]:
    """Read the list of composed clips; raises InputError where they were not made yet."""
    folder = mini_folder(cache)
    if not (folder / "clips.csv").is_file():
        raise InputError(f"{folder}: the mini corpus is not there; run `mmat fetch mini`")
    return read_list(folder / "clips.csv", mini_labels(), folder / "events.tsv", strict=True).clips


def mini_groups() -> dict[str, str]:
    """Return the source group of each clip by its id: that of the recording it was composed for.

    A clip holds up to three events, of two classes at most; it was composed for its first event,
    and the others were added. Clips of one group are not independent.

    >>> len(set(mini_groups().values())) > 20
    True
    """
    groups = {source.id: source.source_group for source in _sources()}
    return {plan.id: groups[plan.sounds[0].recording] for plan in _plans(CLIPS_A_SPLIT)}


def mini_source_groups() -> dict[str, tuple[str, ...]]:
    """Return all source groups of each clip by its id: of its recordings, and of its photograph.

    They stand in the column `source_group` of `clips.csv` too, joined by `;`. Noise, scenery and
    pictures of things without a class are left out: each is in so many clips that they would link
    all of them, and none tells of a label. Returns the groups of a clip in the order of its events.

    >>> mini_source_groups()["train-00000"]
    ('insect/tuxpaint', 'photo/insect-tux-fly')
    """
    sources = {source.id: source for source in _sources()}
    return {plan.id: _source_groups(plan, sources) for plan in _plans(CLIPS_A_SPLIT)}


def mini_sounds() -> dict[str, tuple[Sound, ...]]:
    """Return the events that each clip was composed of by its id, each of a recording and a label.

    >>> [(sound.recording, sound.label) for sound in mini_sounds()["train-00000"]][:2]
    [('insect-tux-grasshopper', 'Insect'), ('insect-tux-hornet', 'Insect')]
    """
    return {plan.id: plan.sounds for plan in _plans(CLIPS_A_SPLIT)}


def _source_groups(plan: ClipPlan, sources: Mapping[str, SourceFile]) -> tuple[str, ...]:
    used = [sources[sound.recording] for sound in plan.sounds]
    subject = sources.get(plan.picture.subject)
    if subject is not None and subject.kind == "photograph":
        used.append(subject)
    return tuple(dict.fromkeys(source.source_group for source in used))


def _sources() -> list[SourceFile]:
    return read_sources(data_list("mini", "sources.csv"))


def _plans(clips_a_split: Mapping[str, int]) -> list[ClipPlan]:
    sources = _sources()
    return [
        plan
        for split, n_clips in clips_a_split.items()
        for plan in plan_clips(sources, split, n_clips, CORPUS_SEED)
    ]


def _fingerprint(plans: Sequence[ClipPlan]) -> str:
    text = json.dumps([dataclasses.asdict(plan) for plan in plans])
    return hashlib.sha256(
        (text + json.dumps(dataclasses.asdict(Composition()))).encode()
    ).hexdigest()


def _is_complete(folder: pathlib.Path, plans: Sequence[ClipPlan]) -> bool:
    mark = folder / "plans.sha256"
    return mark.is_file() and mark.read_text() == _fingerprint(plans)


def _compose(
    plans: Sequence[ClipPlan], media: Mapping[str, str], folder: pathlib.Path, progress: bool
) -> None:
    # The folder in progress is named after the plans, so that other plans start from nothing.
    fingerprint = _fingerprint(plans)
    part = folder.with_name(f"clips-{fingerprint[:12]}")
    for split in {plan.split for plan in plans}:
        (part / split).mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as threads:
        # The encoders and the resampler release the interpreter's lock, so threads are enough.
        events = threads.map(lambda p: render_clip(p, media, part / _file(p)), plans)
        events = list(tqdm(events, "compose", len(plans), unit=" clips", disable=not progress))
    sources = {source.id: source for source in _sources()}
    clips = [
        Clip(
            id=plan.id,
            file=_file(plan),
            labels=plan.labels,
            split=plan.split,
            source_group=";".join(_source_groups(plan, sources)),
            events=tuple(placed),
        )
        for plan, placed in zip(plans, events, strict=True)
    ]
    write_clip_list(part / "clips.csv", clips, part / "events.tsv")
    mini_labels().to_csv(part / "labels.csv")
    (part / "plans.json").write_text(json.dumps([dataclasses.asdict(plan) for plan in plans]))
    (part / "plans.sha256").write_text(fingerprint)
    with atomic_path(folder) as place:
        os.replace(part, place)


def _add_source_groups(folder: pathlib.Path, plans: Sequence[ClipPlan]) -> None:
    """Write the source groups into the list of clips that were composed before it held them."""
    sources = {source.id: source for source in _sources()}
    groups = {plan.id: ";".join(_source_groups(plan, sources)) for plan in plans}
    listed = read_list(folder / "clips.csv", mini_labels(), strict=True).clips
    clips = [dataclasses.replace(clip, source_group=groups[clip.id]) for clip in listed]
    if clips != listed:
        with atomic_path(folder / "clips.csv") as part:
            write_clip_list(part, clips)


def _file(plan: ClipPlan) -> str:
    return f"{plan.split}/{plan.id}.mp4"
