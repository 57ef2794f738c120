"""The mini corpus, whole: its sources fetched, its weakly labelled clips composed from them.

`CACHE/mini/` then holds `sources/`, and `clips/` with a folder of `.mp4` files for each split,
`clips.csv`, `events.tsv` (the strong times) and `labels.csv`.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from mmat.data.compose import ClipPlan, Composition, plan_clips
from mmat.data.lists import Clip, read_list, write_clip_list
from mmat.data.render import render_clip
from mmat.errors import InputError, atomic_path
from mmat.fetch.sources import fetch_mini, read_sources
from mmat.labels import LabelSet
from mmat.paths import cache_folder
from mmat.resources import data_list

CLIPS_A_SPLIT = {"train": 400, "validation": 150, "test": 400}
CORPUS_SEED = 2017
WORKERS = 2


def mini_folder(cache: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of the composed clips, whether or not they are there yet."""
    return pathlib.Path(cache_folder() if cache is None else cache) / "mini" / "clips"


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

    A clip holds up to three events, of two classes at most; its first event is of the class whose
    turn it was, and the others are added to it. Clips of one group are no independent evidence.

    >>> len(set(mini_groups().values())) > 20
    True
    """
    groups = {x.id: x.source_group for x in read_sources(data_list("mini", "sources.csv"))}
    return {plan.id: groups[plan.sounds[0].recording] for plan in _plans(CLIPS_A_SPLIT)}


def fetch_and_compose(
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    deb_folder: str | os.PathLike | None = None,
    progress: bool = True,
    clips_a_split: Mapping[str, int] = CLIPS_A_SPLIT,
) -> pathlib.Path:
    """Fetch the sources, compose the clips, and return the folder of the clips.

    What is there is kept, so it can be stopped and started again. `dry_run` only prints the plan.
    Raises InputError as `mmat.fetch.sources.fetch_mini` does.
    """
    folder = mini_folder(cache)
    plans = _plans(clips_a_split)
    if _is_complete(folder, plans):
        if progress:
            print(f"{folder}: the {len(plans)} clips are there")
        return folder
    source_folder = fetch_mini(cache, dry_run, deb_folder, progress)
    if dry_run:
        print(f"{len(plans)} clips of 10 s to compose into {folder}, about 250 MB")
        return folder
    media = {
        source.id: str(source_folder / source.file)
        for source in read_sources(data_list("mini", "sources.csv"))
    }
    _compose(plans, media, folder, progress)
    return folder


def _plans(clips_a_split: Mapping[str, int]) -> list[ClipPlan]:
    sources = read_sources(data_list("mini", "sources.csv"))
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
    # The name of the folder in progress holds the plans' sum: other plans start from nothing.
    fingerprint = _fingerprint(plans)
    part = folder.with_name(f"clips-{fingerprint[:12]}")
    for split in {plan.split for plan in plans}:
        (part / split).mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as threads:
        # The encoders and the resampler let go of the interpreter, so threads are enough.
        events = threads.map(lambda p: render_clip(p, media, part / _file(p)), plans)
        events = list(tqdm(events, "compose", len(plans), unit=" clips", disable=not progress))
    clips = [
        Clip(
            id=plan.id,
            file=_file(plan),
            labels=plan.labels,
            split=plan.split,
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


def _file(plan: ClipPlan) -> str:
    return f"{plan.split}/{plan.id}.mp4"
