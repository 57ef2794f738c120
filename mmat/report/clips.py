"""The clips that a report shows: where the model was most right, and where most wrong."""

import base64
import dataclasses
import io
from collections.abc import Sequence

import numpy as np

from mmat.plots import plot_tagging
from mmat.tasks import MULTI_LABEL, Task

CLIPS_EACH = 3
SURE = 1e-6


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip to draw: its row among the clips, "best" or "worst", and what was heard and said.

    waveform: float32 `(samples,)`; frame_scores: `(time, classes)`; events and true_events:
    `(label_index, onset_seconds, offset_seconds, …)`.
    """

    row: int
    place: str
    id: str
    waveform: np.ndarray
    frame_scores: np.ndarray
    true_events: tuple[tuple, ...]
    events: tuple[tuple, ...]


def clip_losses(truth, scores) -> np.ndarray:
    """Return the mean cross-entropy of each clip's scores in nats: float64 `(clips,)`.

    >>> clip_losses(np.array([[True, False]]), np.array([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    scores = np.clip(np.asarray(scores, np.float64), SURE, 1 - SURE)
    return -np.log(np.where(truth, scores, 1 - scores)).mean(axis=1)


def choose_clips(truth, scores, n_each: int = CLIPS_EACH) -> list[tuple[str, int]]:
    """Return ("best" or "worst", row) of the clips with the least and the most cross-entropy.

    The best are chosen among clips that have a label: silence is easily answered with nothing.
    """
    losses = clip_losses(truth, scores)
    order = np.argsort(losses, kind="stable")
    best = [int(i) for i in order if truth[i].any()][:n_each]
    worst = [int(i) for i in order[::-1] if int(i) not in best][:n_each]
    return [*(("best", i) for i in best), *(("worst", i) for i in worst)]


def draw_clip(
    clip: Clip, labels: Sequence[str], thresholds, clip_scores, task: Task = MULTI_LABEL
) -> bytes:
    """Return a PNG of a clip's mel spectrogram and frame scores."""
    from mmat.models.features import log_mel

    n_frames = max(1, len(clip.frame_scores))
    heard = np.zeros((1, max(len(clip.waveform), 400), 1), np.float32)
    heard[0, : len(clip.waveform), 0] = clip.waveform
    png = io.BytesIO()
    plot_tagging(
        png,
        np.asarray(log_mel(heard))[0, :, :, 0],
        clip.frame_scores[:n_frames],
        labels,
        thresholds,
        events=clip.events,
        true_events=clip.true_events,
        clip_scores=clip_scores,
        task=task,
    )
    return png.getvalue()


def data_uri(png: bytes) -> str:
    """Return a PNG as a page can hold it, without another file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
