"""PSDS and segment curves as worked by hand and by sed_scores_eval; files stay in their folder."""

import numpy as np
import pytest
import sed_scores_eval
import sklearn.metrics

from mmat.files import InputError
from mmat.metrics import psds
from mmat.metrics.psds import file_stem, frame_times, write_frame_scores

LABELS = ["Fire engine, fire truck (siren)", 'a "quoted" dog', "Öre"]
SCORES = np.full((3, 1), 0.5, np.float32)


def made_clips(n_clips=12, noise=0.3, seed=0):
    """Give frame scores and events; class 2 never sounds. More noise is a worse system."""
    rng = np.random.default_rng(seed)
    scores, events = [], []
    for i in range(n_clips):
        onset, offset = float(rng.integers(0, 4)), float(rng.integers(5, 10))
        label = i % 2
        frames = np.zeros((100, 3))
        frames[int(10 * onset) : int(10 * offset), label] = 0.6
        frames += noise * rng.random((10, 3)).repeat(10, axis=0)
        scores.append(np.clip(frames, 0, 1).astype(np.float32))
        events.append([(label, onset, offset)])
    return scores, events


@pytest.mark.parametrize("scenario", [psds.REACT_FAST, psds.TELL_APART])
def test_a_perfect_system_scores_one_and_noise_costs(scenario):
    found = [psds.psds(*made_clips(noise=noise), 10.0, scenario) for noise in (0, 0.8, 1.2)]
    assert found[0] == pytest.approx(1)
    assert found[0] >= found[1] > found[2]


def test_a_late_detection_counts_where_the_scenario_tolerates_it():
    scores = np.zeros((100, 1))
    scores[30:60] = 0.9  # true from 2 to 5 s: two thirds of either cover the other
    events = [[(0, 2.0, 5.0)]]
    assert psds.psds([scores], events, 10.0, psds.REACT_FAST) == 0
    assert psds.psds([scores], events, 10.0, psds.TELL_APART) == pytest.approx(1)


def test_the_tsv_files_are_what_sed_scores_eval_reads(tmp_path):
    scores, events = made_clips()
    ids = [f"clip.{i}" for i in range(len(scores))]
    write_frame_scores(tmp_path / "scores", ids, LABELS, scores)
    back = sed_scores_eval.io.read_sed_scores(tmp_path / "scores")
    for clip, expected in zip(ids, scores, strict=True):
        assert list(back[clip].columns) == ["onset", "offset", *LABELS]
        assert np.array_equal(back[clip][LABELS].to_numpy(np.float32), expected)
    truth = {i: [(on, off, LABELS[c]) for c, on, off in of] for i, of in zip(ids, events, strict=1)}
    # By its own reader and from the files; a class that never sounds has no curve there.
    tables = {clip: table.drop(columns=LABELS[2]) for clip, table in back.items()}
    for scenario, options in [
        (psds.REACT_FAST, {"dtc_threshold": 0.7, "gtc_threshold": 0.7}),
        (
            psds.TELL_APART,
            {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5},
        ),
    ]:
        expected, *_ = sed_scores_eval.intersection_based.psds(
            tables, truth, dict.fromkeys(ids, 10.0), alpha_st=1, **options
        )
        assert psds.psds(scores, events, 10.0, scenario) == pytest.approx(expected)


def test_segment_curves_are_those_of_the_highest_frames():
    scores, events = made_clips(noise=0.9)
    found = psds.segment_curves(scores, events, 10.0)
    assert sorted(found) == [0, 1]
    for c in found:
        highest = np.concatenate([s[:, c].reshape(10, 10).max(axis=1) for s in scores])
        true = np.zeros((len(scores), 10), bool)
        for i, ((label, onset, offset),) in enumerate(events):
            true[i, int(onset) : int(offset)] = label == c
        expected = sklearn.metrics.average_precision_score(true.ravel(), highest)
        assert found[c].average_precision == pytest.approx(expected)
        assert found[c].curve.recall.max() == 1


def test_events_that_touch_are_one():
    scores = np.zeros((100, 1))
    scores[20:50] = 0.9
    parts = [(0, 2.0, 3.0), (0, 3.0, 4.5), (0, 4.0, 5.0)]
    assert psds.psds([scores], [parts], 10.0) == pytest.approx(1)


def test_a_truth_without_events_warns_and_malformed_input_is_refused():
    scores = np.zeros((100, 2))
    for metric, nothing in [(psds.psds, 0.0), (psds.segment_curves, {})]:
        with pytest.warns(UserWarning, match="no event"):
            assert metric([scores], [[]], 10.0) == nothing
        for frames, events, reason in [
            ([scores], [[(2, 0.0, 1.0)]], "none of the classes"),
            ([scores], [[(0, 1.0, 1.0)]], "no duration"),
            ([scores], [], "of 1 clips"),
            ([scores[0]], [[(0, 0.0, 1.0)]], "time, classes"),
            ([scores + 2], [[(0, 0.0, 1.0)]], "sigmoid"),
            ([scores * np.nan], [[(0, 0.0, 1.0)]], "NaN"),
            ([scores[:0]], [[(0, 0.0, 1.0)]], "no frames"),
        ]:
            with pytest.raises(InputError, match=reason):
                metric(frames, events, 10.0)


@pytest.mark.parametrize(
    "name", ["../escaped", "/etc/passwd", ".", "..", ".hidden", "a/b", "x" * 400, "Ö" * 300, "a\\b"]
)
def test_every_name_makes_one_file_inside(name, tmp_path):
    write_frame_scores(tmp_path / "scores", [name, "other"], ["Dog"], [SCORES] * 2)
    files = sorted(path.name for path in (tmp_path / "scores").iterdir())
    assert len(files) == 2 and "other.tsv" in files
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]


def test_names_stay_different():
    names = ["a/b", "a%2Fb", "x" * 400, "x" * 401, ".a", "%2Ea"]
    assert len({file_stem(name) for name in names}) == len(names)


def test_onsets_are_the_offsets_before():
    times = frame_times(100, 0.1)
    assert times[30] == 3.0 and times[-1] == 10.0


@pytest.mark.parametrize(
    ("ids", "labels", "scores", "reason"),
    [
        (["a", "a"], ["Dog"], [SCORES] * 2, "comes twice"),
        (["a"], ["Dog"], [], "0 clips for 1"),
        (["a"], ["A\\B"], [SCORES], "rename"),
        (["a"], ["Dog", "Dog"], [np.zeros((3, 2))], "rename"),
        (["a"], ["Dog", "Cat"], [SCORES], "for 2 labels"),
        (["a"], ["Dog"], [SCORES[:0]], "for 1 labels"),
        (["a"], ["Dog"], [SCORES * np.nan], "NaN"),
    ],
)
def test_wrong_input_is_refused_and_leaves_nothing(ids, labels, scores, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        write_frame_scores(tmp_path / "scores", ids, labels, scores)
    assert not list(tmp_path.iterdir())
