"""The report's folder: figures that can be had again from its files, a page safe with any name."""

import html.parser
import json

import numpy as np
import pytest
import sed_scores_eval

from mmat.evaluation.evaluate import Evaluation, Outputs, ShownClip, choose_clips, figures
from mmat.evaluation.files import write_evaluation
from mmat.evaluation.page import as_table, render
from mmat.files import InputError
from mmat.labels import MULTI_LABEL
from mmat.metrics.events import frames_to_events
from mmat.metrics.official import score_events, score_tagging

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %}",
    "Costs $4 and $x_$ & more; 'quoted'",
]


def made_evaluation(
    labels=("Dog", "Fire engine, fire truck (siren)", "Öre"),
    n_clips=12,
    branches=True,
    strong=True,
    ids=None,
    groups=None,
    truth_rate=0.4,
    against="",
) -> Evaluation:
    """Give an evaluation as a model's would be: made outputs, real figures."""
    rng = np.random.default_rng(0)
    n = len(labels)
    truth = rng.random((n_clips, n)) < truth_rate
    scores = np.clip(0.5 * truth + 0.6 * rng.random(truth.shape), 0, 1).astype(np.float32)
    thresholds = np.full(n, 0.5, np.float32)
    fired = scores >= thresholds
    frames = [np.tile(row, (20, 1)) for row in scores]
    events = [frames_to_events(frame, thresholds) for frame in frames]
    truth_events = [[(int(c), 0.5, 1.5) for c in np.flatnonzero(row)] for row in truth]
    truth_events = truth_events if strong else [[] for _ in truth]
    by_branch = {name: rng.random(truth.shape).astype(np.float32) for name in ("audio", "video")}
    outputs = Outputs(scores, by_branch if branches else {}, frames, events)
    seconds = np.full(n_clips, 2.0)
    report = {
        "split": "test",
        "clips": n_clips,
        "source_groups": None if groups is None else len(set(groups)),
        "resamples": 20,
        **figures.headline(truth, fired, scores, groups, 20),
        "calibration": figures.calibration(MULTI_LABEL, truth, scores, groups, 20),
        "best_constant": {"precision": 0.1, "recall": 0.2, "f1": 0.15},
        "per_class": figures.classes(truth, fired, scores, thresholds, labels),
        "branches": {
            name: figures.branch(truth, each, scores, groups, 20)
            for name, each in outputs.branches.items()
        },
        "detection": None,
        "against": None,
    }
    if against:
        other = np.clip(0.3 * truth + 0.7 * rng.random(truth.shape), 0, 1)
        pair = (other >= thresholds, other), (fired, scores)
        found = figures.comparison(MULTI_LABEL, truth, *pair, groups, 20)
        report["against"] = {"name": against, **found}
    if any(truth_events):
        report["detection"] = figures.detection(truth_events, events, frames, seconds, 0.1, n)
    ids = list(ids or (f"clip {i}" for i in range(n_clips)))
    shown = [
        ShownClip(
            row=i,
            place=place,
            id=ids[i],
            waveform=rng.normal(0, 0.1, 32000).astype(np.float32),
            frame_scores=frames[i],
            true_events=tuple(truth_events[i]),
            events=tuple(events[i]),
        )
        for place, i in choose_clips(truth, scores, 1)
    ]
    return Evaluation(
        ids=ids,
        labels=tuple(labels),
        truth=truth,
        fired=fired,
        scores=scores,
        thresholds=thresholds,
        outputs=outputs,
        truth_events=truth_events,
        clip_seconds=seconds,
        shown=shown,
        report=report,
    )


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its tags, its attributes, its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_holds_every_section_and_asks_for_nothing():
    groups = [f"video {i // 2}" for i in range(12)]
    text = render(made_evaluation(groups=groups, against="zero"), title="fused on test")
    page = Page(text)
    for words in (
        "fused on test",
        "from 6 source groups",
        "What scores mean",
        "expected calibration error, %",
        "intervals of the rate, over source groups",
        "Against zero",
        "difference, over source groups",
        "interval over clips",
        "interval over source groups",
        "fused above it",
        "PSDS, react fast",
        "falsely fired",
        "Best clips",
        "Worst clips",
        "Fire engine, fire truck (siren)",
    ):
        assert words in page.text
    sources = [value for name, value in page.attributes if name == "src"]
    assert len(sources) == 5 + 2
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in sources)
    assert not {"script", "link", "iframe", "a", "object"} & set(page.tags)
    assert "http:" not in text and "https:" not in text and "url(" not in text


def test_names_of_strangers_are_text_and_nothing_else():
    plain = Page(render(made_evaluation(against="zero")))
    ids = [f"{HOSTILE[i % 4]} {i}" for i in range(12)]
    labels = HOSTILE[:3]
    hostile = made_evaluation(labels=labels, ids=ids, against=HOSTILE[0])
    page = Page(render(hostile, title=HOSTILE[1]))
    assert page.tags == plain.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in plain.attributes]
    for label in labels:
        assert label in page.text
    assert HOSTILE[1] in page.text and f"Against {HOSTILE[0]}" in page.text


@pytest.mark.filterwarnings("ignore:no clip of the truth", "ignore:no class has")
@pytest.mark.parametrize(
    "options",
    [
        {"branches": False, "strong": False},
        {"labels": ["Dog"]},
        {"n_clips": 1},
        {"truth_rate": 0.0},
        {"truth_rate": 1.0},
        {"labels": [f"class {c}" for c in range(40)], "strong": False, "truth_rate": 0.1},
        {"labels": ["a" * 300, "b " * 150]},
        {"against": "zero", "n_clips": 1},
    ],
    ids=["plain", "one class", "one clip", "nothing true", "all true", "many", "long", "against"],
)
def test_unusual_evaluations_have_a_page_too(options, tmp_path):
    evaluation = made_evaluation(**options)
    write_evaluation(tmp_path / "report", evaluation)
    page = Page((tmp_path / "report" / "report.html").read_text())
    assert page.tags.count("h1") == 1
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(found["per_class"]) == len(evaluation.labels)


def test_the_official_files_have_the_reports_figures(tmp_path):
    evaluation = made_evaluation()
    write_evaluation(tmp_path, evaluation)
    for strict in (False, True):
        found = score_tagging(
            tmp_path / "official/tagging_truth.csv",
            tmp_path / "official/tagging_prediction.csv",
            strict,
        )
        for name, value in found["micro"].items():
            assert value == pytest.approx(100 * evaluation.report[name])
        for label, of_class in found["per_class"].items():
            assert of_class["f1"] == pytest.approx(
                100 * evaluation.report["per_class"][label]["f1"]
            )
    found = score_events(
        tmp_path / "official/events_truth.csv", tmp_path / "official/events_prediction.csv"
    )["micro"]
    for name, value in found.items():
        assert value == pytest.approx(100 * evaluation.report["detection"]["segments"][name])


def test_the_frame_scores_are_read_by_sed_scores_eval(tmp_path):
    evaluation = made_evaluation(ids=[f"../{name}" for name in "abcdefghijkl"])
    write_evaluation(tmp_path / "report", evaluation)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    back = sed_scores_eval.io.read_sed_scores(tmp_path / "report" / "frame_scores")
    assert len(back) == 12
    first = back[min(back)]
    expected = evaluation.outputs.frames[0]
    assert np.array_equal(first.to_numpy(np.float32)[:, 2:], expected)


def test_a_report_is_replaced_and_a_file_is_not(tmp_path):
    for n_clips in (6, 3):
        write_evaluation(tmp_path / "report", made_evaluation(n_clips=n_clips))
    assert len(list((tmp_path / "report" / "frame_scores").iterdir())) == 3
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(InputError, match="precious: is a file"):
        write_evaluation(tmp_path / "precious", made_evaluation(n_clips=2))
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_best_and_the_worst_clips_are_those_near_and_far_from_the_truth():
    truth = np.array([[1, 0], [1, 0], [0, 1], [0, 0], [0, 1]]) > 0
    scores = np.array([[0.9, 0.1], [0.2, 0.9], [0.3, 0.8], [0.0, 0.0], [0.5, 0.1]])
    assert choose_clips(truth, scores, 2) == [("best", 0), ("best", 2), ("worst", 1), ("worst", 4)]


def test_branches_are_compared_by_what_needs_no_threshold():
    evaluation = made_evaluation(n_clips=60)
    branch = evaluation.report["branches"]["audio"]
    gain = branch["fused_above_it"]["clips"]["mean_average_precision"]
    assert gain["estimate"] == pytest.approx(
        evaluation.report["mean_average_precision"] - branch["mean_average_precision"]
    )
    assert 0 < gain["low"] < gain["estimate"] < gain["high"]
    assert gain["share_above_zero"] == 1


def test_the_printed_table_says_what_scores_mean_and_what_another_model_lacks():
    evaluation = made_evaluation(n_clips=60, groups=[f"video {i // 2}" for i in range(60)])
    assert "Against" not in render(evaluation) and "this model" not in as_table(evaluation)
    found = evaluation.report["calibration"]
    lines = [line for line in as_table(evaluation).splitlines() if "calibration error" in line]
    numbers = (
        found["expected_calibration_error"],
        *(
            found["intervals"][over]["expected_calibration_error"][end]
            for over in ("clips", "source_groups")
            for end in ("low", "high")
        ),
    )
    one, low, high, group_low, group_high = (f"{100 * number:.1f}" for number in numbers)
    assert lines[0].split()[-7:] == [one, low, "to", high, group_low, "to", group_high]

    compared = made_evaluation(n_clips=60, against="zero")
    gain = compared.report["against"]["model_above_it"]["clips"]["f1"]
    own, other = compared.report["f1"], compared.report["against"]["f1"]
    assert gain["estimate"] == pytest.approx(own - other) and gain["estimate"] > 0
    numbers = [f"{100 * own:.1f}", f"{100 * other:.1f}", f"{100 * (own - other):+.1f}"]
    (line,) = (x for x in as_table(compared).splitlines() if x.startswith("micro F1, %"))
    assert line.split()[3:6] == [
        f"{100 * own:.1f}",
        f"{100 * other:.1f}",
        f"{100 * (own - other):+.1f}",
    ]


def test_the_curve_of_the_scores_is_that_of_the_report():
    evaluation = made_evaluation(n_clips=60)
    curve = evaluation.report["calibration"]["reliability"]
    bins = np.minimum((10 * evaluation.scores.astype(float)).astype(int), 9)
    held = np.unique(bins)
    expected = [evaluation.truth[bins == b].mean() for b in held]
    assert curve["rate"] == pytest.approx(expected)
    assert curve["n_cases"] == [int((bins == b).sum()) for b in held]
