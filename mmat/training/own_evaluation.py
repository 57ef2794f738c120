"""A tagger that was trained on own clips, measured on test clips and against names alone."""

import dataclasses
import pathlib

import numpy as np

from mmat.evaluation import figures
from mmat.evaluation.evaluate import GROUPS_BETWEEN, Evaluation, evaluate
from mmat.metrics.bootstrap import RESAMPLES
from mmat.metrics.decisions import decide
from mmat.models.bundle import Bundle
from mmat.models.learnt import Learnable
from mmat.models.name_maps import THRESHOLD
from mmat.shards.corpus import open_corpus
from mmat.startup import on_terminal
from mmat.training.learn import read_frozen, untrained_scores
from mmat.training.own_clips import TEST, Source


def evaluated(bundle: Bundle, shards: pathlib.Path, tested: Source, progress: bool) -> Evaluation:
    """Return the evaluation on test clips, which lie prepared in shards."""
    named = {clip.id: GROUPS_BETWEEN.join(clip.source_groups) for clip in tested.clips}
    return evaluate(bundle, shards, TEST, progress and on_terminal(), named)


def against_names(found: Evaluation, models: Learnable, shards: pathlib.Path) -> Evaluation:
    """Add to an evaluation what names alone give on its clips, and the paired differences.

    Without a model: of frozen outputs, in which clips of different lengths are not padded.
    """
    clips = read_frozen(models, open_corpus(shards, hold_out=False), TEST)
    rows = {clip: row for row, clip in enumerate(clips.ids)}
    scores = untrained_scores(clips)[[rows[clip] for clip in found.ids]].astype(np.float32)
    untrained = decide(found.task, scores, THRESHOLD), scores
    groups = [clips.groups[rows[clip]] for clip in found.ids]
    pair = untrained, (found.fired, found.scores)
    against = figures.comparison(found.task, found.truth, *pair, groups, RESAMPLES)
    report = found.report | {"against": {"name": "untrained", **against}}
    return dataclasses.replace(found, report=report)
