"""The doubted labels of training clips, each with the seconds of its file to hear again.

Which labels are doubted, `mmat.training.review` tells by scores alone.
"""

import pathlib

import numpy as np

from mmat.evaluation.evaluate import GROUPS_BETWEEN, clip_seconds
from mmat.labels import FRAME_HZ
from mmat.media.find import MediaFolder
from mmat.models.bundle import Bundle
from mmat.models.predict import Predictor
from mmat.shards.corpus import TRAIN
from mmat.shards.read import MODEL_INPUTS, read_steps
from mmat.training.learn import Learnt
from mmat.training.own_clips import Source
from mmat.training.review import NOT_HEARD, NOT_LABELLED, Doubt, doubted, moment

CLIPS_A_STEP = 32


def find_doubts(learnt: Learnt, shards: pathlib.Path, source: Source) -> tuple[Doubt, ...]:
    """Return the labels of training clips to check, and the seconds of their files to hear."""
    task, bundle = source.labels.task, learnt.bundle
    places = doubted(task, learnt.truth, learnt.scores, bundle.thresholds)
    frames = _frame_scores(bundle, shards, {learnt.ids[row] for row, _ in places})
    clips, media = {clip.id: clip for clip in source.clips}, MediaFolder(source.media)
    doubts = []
    for row, c in places:
        clip = clips[learnt.ids[row]]
        found = media.find(clip)
        begins = (found and found.start_seconds) or 0.0
        start, end = moment(frames[clip.id][:, c])
        doubts.append(
            Doubt(
                file=clip.file,
                label=source.labels.names[c],
                doubt=NOT_HEARD if learnt.truth[row, c] else NOT_LABELLED,
                score=float(learnt.scores[row, c]),
                start_seconds=begins + start,
                end_seconds=begins + end,
                source_group=GROUPS_BETWEEN.join(learnt.groups[row]),
            )
        )
    return tuple(doubts)


def _frame_scores(bundle: Bundle, shards: pathlib.Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """Return the frame scores `(time, classes)` of some training clips, by id."""
    predictor, found = Predictor(bundle.model, bundle.labels.task), {}
    inputs = dict.fromkeys([*MODEL_INPUTS, *predictor.inputs])
    for step in read_steps(shards, TRAIN, CLIPS_A_STEP, inputs) if wanted else ():
        rows = [row for row, clip in enumerate(step["ids"]) if clip in wanted]
        if rows:
            clips = {name: x[rows] for name, x in step.items() if isinstance(x, np.ndarray)}
            frames, seconds = predictor(clips)["frame"], clip_seconds(step)[rows]
            for row, scores, lasts in zip(rows, frames, seconds, strict=True):
                found[step["ids"][row]] = scores[: max(1, round(lasts * FRAME_HZ))]
    return found
