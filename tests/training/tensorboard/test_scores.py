import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.metrics.tagging import mean_average_precision, per_class, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.training.tensorboard.callback import tensorboard_callbacks
from mmat.training.tensorboard.sections import N_THRESHOLDS, curve_counts
from tests.training.tensorboard.board_runs import LABELS, fit, plugin_of, read, series, small_model

STEP_OF_EPOCH = (3, 6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training of two epochs: its log, its history, and the scores that were computed."""
    folder, computed = tmp_path_factory.mktemp("log"), []
    rng = np.random.default_rng(0)

    def validation_scores():
        truth = rng.random((40, len(LABELS))) < (0.5, 0.3, 0.1)
        scores = np.clip(rng.normal(0.35 + 0.2 * truth, 0.2), 0, 1).astype(np.float32)
        computed.append((truth, scores))
        return computed[-1]

    shown = tensorboard_callbacks(
        folder, LABELS, validation_scores=validation_scores, drawn_every=1
    )
    history = fit(small_model(), shown).history
    return read(folder), history, computed


def test_scores_are_asked_for_once_an_epoch(run):
    _, _, computed = run
    assert len(computed) == 2


def test_the_figures_are_those_of_the_metrics(run):
    _, history, computed = run
    for epoch, (truth, scores) in enumerate(computed):
        threshold = best_single_threshold(truth, scores)
        assert history["val_threshold"][epoch] == threshold
        assert history["val_f1"][epoch] == precision_recall_f1(truth, fire(scores, threshold)).f1
        assert history["val_map"][epoch] == mean_average_precision(truth, scores)


def test_each_class_has_its_f1_at_the_shared_threshold(run):
    events, _, computed = run
    for c, name in enumerate(LABELS.names):
        written = series(events, f"val_f1_at_best_single_threshold/{name}")
        assert tuple(written) == STEP_OF_EPOCH
        for value, (truth, scores) in zip(written.values(), computed, strict=True):
            fired = fire(scores, best_single_threshold(truth, scores))
            assert value == np.float32(per_class(truth, fired)[c].f1)
            expected = sklearn.metrics.f1_score(truth[:, c], fired[:, c])
            assert value == pytest.approx(expected)


@pytest.mark.parametrize("name", [*LABELS.names, "all classes"])
def test_curves_are_precision_and_recall_at_their_thresholds(run, name):
    events, _, computed = run
    tag = f"precision_recall/{name}/pr_curves"
    assert plugin_of(events, tag) == "pr_curves"
    written = series(events, tag)
    assert tuple(written) == STEP_OF_EPOCH
    for curve, (truth, scores) in zip(written.values(), computed, strict=True):
        if name != "all classes":
            truth, scores = (x[:, [LABELS.index(name)]] for x in (truth, scores))
        truth, scores = truth.ravel(), scores.ravel()
        for at in range(0, N_THRESHOLDS, 4):
            hits, false, true_silent, missed, precision, recall = curve[:, at]
            fired = fire(scores, at / (N_THRESHOLDS - 1))
            matrix = sklearn.metrics.confusion_matrix(truth, fired, labels=[False, True])
            assert [[true_silent, false], [missed, hits]] == matrix.tolist()
            told_of = {"zero_division": 0}
            expected = sklearn.metrics.precision_score(truth, fired, **told_of)
            assert precision == pytest.approx(expected)
            assert recall == pytest.approx(sklearn.metrics.recall_score(truth, fired, **told_of))


def test_the_plugin_knows_how_many_thresholds_there_are(run):
    from tensorboard.plugins.pr_curve import metadata

    events, *_ = run
    about = events.SummaryMetadata("precision_recall/Dog/pr_curves").plugin_data.content
    assert metadata.parse_plugin_metadata(about).num_thresholds == N_THRESHOLDS


scores_on_thresholds = st.integers(0, 100).map(lambda i: np.float32(i / 100))
any_scores = st.one_of(scores_on_thresholds, st.floats(0, 1, width=32))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), any_scores), max_size=12))
def test_counts_are_those_of_a_plain_loop(clips):
    truth = np.array([true for true, _ in clips], bool)
    scores = np.array([score for _, score in clips], np.float32)
    counts = curve_counts(truth, scores)
    for at in range(N_THRESHOLDS):
        fired = fire(scores, at / (N_THRESHOLDS - 1))
        expected = [truth & fired, ~truth & fired, ~truth & ~fired, truth & ~fired]
        assert counts[:, at].tolist() == [each.sum() for each in expected]


def test_what_the_logs_hold_already_stays(tmp_path):
    truth = np.eye(4, len(LABELS), dtype=bool)
    shown = tensorboard_callbacks(
        tmp_path, LABELS, validation_scores=lambda: (truth, truth.astype(float))
    )
    (board,) = shown
    board.set_params({"steps": 1, "epochs": 1})
    board.set_model(small_model())
    board.on_epoch_begin(0)
    board.on_train_batch_begin(0)
    board.on_train_batch_end(0, {"loss": tf.constant(1.0)})
    logs = {"val_f1": 0.125}
    board.on_epoch_end(0, logs)
    assert logs == {"val_f1": 0.125, "val_map": 1.0, "val_threshold": 0.5}
