"""The official figures: golden values on the challenge's own lists, and every quirk by hand."""

import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.metrics import official
from mmat.metrics.official import read_rows, write_events, write_tags

pytest_plugins = ["tests.reference"]

WEAK = "groundtruth_weak_label_testing_set.csv"
STRONG = "groundtruth_strong_label_testing_set.csv"
GOLDEN = {
    "perfect_prediction.csv": (100, 100, 100),
    "precision_affected_prediction.csv": (99.6711, 100, 99.8353),
    "recall_affected_prediction.csv": (100, 99.6700, 99.8347),
    "prediction_missing.csv": (100, 99.3399, 99.6689),
    "invalid_prediction.csv": (100, 99.6694, 99.8344),
}
EXACTLY = {"abs": 5e-5}

pytestmark = pytest.mark.filterwarnings("ignore:.*the truth does not have the label")


def with_endings(path, ending: str, folder):
    """Write a copy of a text file whose lines end in `ending`."""
    text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", ending.encode())
    copy = folder / path.name
    copy.write_bytes(text)
    return copy


@pytest.fixture(params=["\n", "\r\n"], ids=["LF", "CRLF"])
def endings(request, tmp_path):
    return lambda path: with_endings(path, request.param, tmp_path)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_challenges_own_predictions_have_their_golden_values(name, task4, endings):
    found = official.score_tagging(endings(task4 / WEAK), endings(task4 / "predictions" / name))
    assert tuple(found["micro"].values()) == pytest.approx(GOLDEN[name], **EXACTLY)


def answer_for_all(task4, labels, ending: str, path):
    clips = dict.fromkeys(row.clip for row in read_rows(task4 / WEAK))
    rows = [f"{clip}.wav\t0.000\t10.000\t{label}" for clip in clips for label in labels]
    path.write_bytes((ending.join(rows) + ending).encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_constant_answers_have_their_golden_values(ending, task4, tmp_path):
    truth = task4 / WEAK
    labels = {row.label for row in read_rows(truth)}
    everything = answer_for_all(task4, labels, ending, tmp_path / "all.csv")
    found = official.score_tagging(truth, everything)["micro"]
    assert tuple(found.values()) == pytest.approx((7.3047, 100, 13.6149), **EXACTLY)
    cars = answer_for_all(task4, ["Car"], ending, tmp_path / "car.csv")
    for strict in (False, True):
        found = official.score_tagging(truth, cars, strict)
        expected = (12.2951, 9.9010, 10.9689)
        assert tuple(found["micro"].values()) == pytest.approx(expected, **EXACTLY)
        assert found["class_based"]["f1"] == pytest.approx(1.2881, **EXACTLY)


def test_strict_counts_the_clips_that_a_prediction_leaves_out(task4):
    files = task4 / WEAK, task4 / "predictions" / "invalid_prediction.csv"
    # Three rows are missing; of two of them the clip has another row.
    assert official.score_tagging(*files)["micro"]["recall"] == pytest.approx(100 * 603 / 605)
    assert official.score_tagging(*files, strict=True)["micro"]["recall"] == pytest.approx(
        100 * 603 / 606
    )


def write(folder, text, name="file.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(*labels_of_clips) -> str:
    """Rows of clips called a, b, …: each argument holds the labels of one clip."""
    lines = []
    for clip, labels in zip("abcdef", labels_of_clips, strict=False):
        lines += [f"{clip}.wav\t0.0\t10.0\t{label}" for label in labels] or [f"{clip}.wav"]
    return "\n".join(lines) + "\n"


def score(folder, truth, predicted, **options):
    files = write(folder, truth, "truth.csv"), write(folder, predicted, "prediction.csv")
    return official.score_tagging(*files, **options)


def test_a_doubled_prediction_is_a_hit_and_a_false_alarm_in_micro_only(tmp_path):
    found = score(tmp_path, rows(["Dog"], ["Cat"]), rows(["Dog", "Dog"], ["Cat"]))
    assert found["micro"]["precision"] == pytest.approx(100 * 2 / 3)
    assert found["class_based"] == {"precision": 100, "recall": 100, "f1": 100}


def test_a_doubled_mistake_is_two_false_alarms_everywhere(tmp_path):
    found = score(tmp_path, rows(["Dog"], ["Cat"]), rows(["Dog"], ["Dog", "Dog", "Cat"]))
    assert found["micro"]["precision"] == 50
    assert found["per_class"]["Dog"]["precision"] == pytest.approx(100 / 3)


def test_an_unknown_label_is_a_false_alarm_and_a_class(tmp_path):
    with pytest.warns(UserWarning, match=r"prediction.csv:2: .*'Wolf'"):
        found = score(tmp_path, rows(["Dog"]), rows(["Dog", "Wolf"]))
    assert found["micro"]["precision"] == 50
    assert found["class_based"]["precision"] == 50
    assert set(found["per_class"]) == {"Dog", "Wolf"}


def test_clips_count_when_the_prediction_names_them(tmp_path):
    truth = rows(["Dog"], ["Cat"], ["Cat"])
    found = score(tmp_path, truth, rows(["Dog"], []))
    assert found["micro"]["recall"] == 50  # c is missing, nothing was predicted of b
    assert score(tmp_path, truth, rows(["Dog"], []), strict=True)["micro"][
        "recall"
    ] == pytest.approx(100 / 3)
    found = score(tmp_path, rows(["Dog"]), rows(["Dog"], ["Cat"]))  # b is unknown
    assert found["micro"]["f1"] == 100


def test_rows_that_end_at_nought_are_dropped_and_suffixes_are_no_part_of_a_name(tmp_path):
    truth = "a.wav\t0\t10\tDog\nb.wav\t0\t0.0\tCat\n"
    predicted = "a.flac\t0\t10\tDog\nb\t0\t10\tCat\na\t0\t0\tCat\n"
    assert score(tmp_path, truth, predicted)["micro"]["f1"] == 100
    # Strictly b is a clip without a label, and its Cat a false alarm.
    assert score(tmp_path, truth, predicted, strict=True)["micro"]["precision"] == 50


BOTH = ("tagging", "events")


@pytest.mark.parametrize(
    ("text", "tasks", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe\0\0", BOTH, "file.csv:1: not UTF-8"),
        (b"a.wav\0\0\t1\t2\tDog\n", BOTH, "file.csv:1: the row holds a NUL byte"),
        ("", BOTH, "file.csv: no rows"),
        ("\r\n\r\n", BOTH, "file.csv: no rows"),
        ("a.wav\t0\t10\tDog\tmore\n", BOTH, "file.csv:1: 5 columns"),
        ("a.wav\tDog\n", BOTH, "file.csv:1: 2 columns"),
        ("a.wav\t0\t1\tDog\n\t0\t10\tDog\n", BOTH, "file.csv:2: no file"),
        ("a.wav\t0\t1\tDog\na.wav,0,10,Dog\n", BOTH, "file.csv:2: one column"),
        ("file\tonset\toffset\tlabel\n", BOTH, "file.csv: no rows"),
        ("a.wav\t0\t1\tDog\na.wav\t0\tnan\tDog\n", BOTH, "file.csv:2: end 'nan' is not a number"),
        ("a.wav\t0\tinf\tDog\n", BOTH, "file.csv:1: end 'inf' is not a number"),
        ("a.wav\t-1\t3\tDog\n", BOTH, "file.csv:1: start '-1' is not a number"),
        ("a.wav\t3\t1\tDog\n", BOTH, "file.csv:1: it ends at 1 s, before"),
        ("z.wav\t0\t10\tDog\n", BOTH, "file.csv: none of its clips .*'z'"),
        ("a.wav\t0\t1\tDog\na.wav\t0\t1\tWolf\n", ["events"], "file.csv:2: unknown label 'Wolf'"),
        ("a.wav\t1\t1\tDog\n", ["events"], "file.csv:1: the event has no duration"),
    ],
)
def test_wrong_files_name_the_line(text, tasks, reason, tmp_path):
    truth = write(tmp_path, rows(["Dog"], ["Cat"]), "truth.csv")
    wrong = write(tmp_path, text)
    for task in tasks:
        with pytest.raises(InputError, match=reason) as caught:
            getattr(official, f"score_{task}")(truth, wrong)
        assert "\n" not in str(caught.value)


def test_a_label_set_refuses_other_labels_in_either_file(tmp_path):
    labels = LabelSet.of(["Dog", "Cat"])
    good, wrong = rows(["Dog"], ["Cat"]), rows(["Dog"], ["Wolf"])
    for truth, predicted, where in [(good, wrong, "prediction"), (wrong, good, "truth")]:
        with pytest.raises(InputError, match=f"{where}.csv:2: unknown label 'Wolf'"):
            score(tmp_path, truth, predicted, labels=labels)
    assert score(tmp_path, good, good, labels=labels)["micro"]["f1"] == 100


def test_a_truth_without_labels_is_refused(tmp_path):
    with pytest.raises(InputError, match="truth.csv: no row has a label"):
        score(tmp_path, "a.wav\n", rows(["Dog"]))
    with pytest.raises(InputError, match="no row has an event"):
        official.score_events(
            write(tmp_path, "a.wav\t0\t0\tDog\n"), write(tmp_path, rows(["Dog"]), "p.csv")
        )


def test_what_is_written_is_read(tmp_path):
    ids, labels = ["-5QrBL6MzLg_60.000_70.000", "no label.wav"], ["Fire engine, fire truck", "Öre"]
    write_tags(tmp_path / "tags.csv", ids, labels, [[True, True], [False, False]], 4.0)
    found = read_rows(tmp_path / "tags.csv")
    assert [row[1:] for row in found] == [
        (ids[0], 60.0, 70.0, labels[0]),
        (ids[0], 60.0, 70.0, labels[1]),
        ("no label", 0.0, 0.0, ""),
    ]
    write_events(tmp_path / "events.csv", ids, labels, [[], [(1, 0.5, 2.25, 0.9)]])
    assert [row[1:] for row in read_rows(tmp_path / "events.csv")] == [
        (ids[0], 0.0, 0.0, ""),
        ("no label", 0.5, 2.25, labels[1]),
    ]
    with pytest.raises(InputError, match="cannot stand"):
        write_tags(tmp_path / "tags.csv", ["a\tb"], ["Dog"], [[True]])


def sed_evals_own(truth, predicted) -> dict:
    """Subtask B's figures by sed_eval alone, clip by clip, as the challenge's script had them."""
    import sed_eval

    names = ["file", "event_onset", "event_offset", "event_label"]
    lists = []
    for path in (truth, predicted):
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        events = [dict(zip(names, row, strict=True)) for row in rows]
        for event in events:
            event |= {name: float(event[name]) for name in names[1:3]}
        lists.append(events)
    labels = sorted({event["event_label"] for event in lists[0]})
    metrics = sed_eval.sound_event.SegmentBasedMetrics(labels, time_resolution=1.0)
    for file in sorted({event["file"] for event in lists[0]}):
        metrics.evaluate(*([event for event in each if event["file"] == file] for each in lists))
    overall = metrics.results_overall_metrics()
    return {**overall["error_rate"], **overall["f_measure"]}


def test_events_are_scored_as_sed_eval_does_alone(task4, tmp_path):
    """Predicted: the truth, each event 1.5 s late, every third with another label."""
    truth = read_rows(task4 / STRONG)
    names = sorted({row.label for row in truth})
    lines = []
    for i, row in enumerate(truth):
        label = names[(names.index(row.label) + (i % 3 == 0)) % len(names)]
        if row.end_seconds > 0:
            times = f"{row.start_seconds + 1.5:.3f}\t{row.end_seconds + 1.5:.3f}"
            lines.append(f"{row.clip}.wav\t{times}\t{label}")
    predicted = write(tmp_path, "\n".join(lines) + "\n")
    found = official.score_events(task4 / STRONG, predicted)["micro"]
    expected = sed_evals_own(task4 / STRONG, predicted)
    assert found["error_rate"] == pytest.approx(100 * expected["error_rate"])
    assert found["f1"] == pytest.approx(100 * expected["f_measure"])
    perfect = official.score_events(task4 / STRONG, task4 / STRONG)["micro"]
    assert (perfect["error_rate"], perfect["f1"]) == (0, 100)


def test_events_of_a_case_worked_by_hand(tmp_path):
    truth = "a\t0.2\t2.5\tDog\na\t4\t5\tCat\nb\t0\t0\tDog\n"
    predicted = "a\t0\t1\tDog\na\t2\t3\tCat\na\t4.5\t4.6\tCat\nb\t9\t9.5\tDog\nunknown\t0\t1\tDog\n"
    files = write(tmp_path, truth, "t.csv"), write(tmp_path, predicted, "p.csv")
    found = official.score_events(*files)
    assert found["micro"] == {"error_rate": 75, "f1": 50, "precision": 50, "recall": 50}
    assert found["per_class"]["Cat"] == {
        "error_rate": pytest.approx(100),
        "f1": pytest.approx(200 / 3),
        "precision": 50,
        "recall": 100,
    }


# --- the forms of lists of events

ROWS = [("a.wav", "0.5", "1.25", "Dog"), ("b.wav", "2", "3", "Cat"), ("c.wav", "", "", "")]
HEADS = ["", "filename onset offset event_label", "file event_onset event_offset event_label"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", ["\t", ",", ";"])
@pytest.mark.parametrize("head", HEADS)
def test_lists_of_events_are_read_in_every_form(head, mark, encoding, tmp_path):
    lines = [mark.join(row) for row in ([tuple(head.split())] if head else []) + ROWS]
    lines += [*lines[:1], "d.wav", mark * 3] if head else ["d.wav", mark * 3]
    found = read_rows(write(tmp_path, "\r\n".join(lines).encode(encoding)))
    assert [row[1:] for row in found] == [
        ("a", 0.5, 1.25, "Dog"),
        ("b", 2.0, 3.0, "Cat"),
        ("c", 0.0, 0.0, ""),
        ("d", 0.0, 0.0, ""),
    ]


def test_scenes_decimal_commas_and_spellings(tmp_path):
    with_scenes = write(tmp_path, "a.wav\tpark\t0.5\t1.25\tDog\n")
    assert read_rows(with_scenes)[0][1:] == ("a", 0.5, 1.25, "Dog")
    text = "sep=;\na.wav;0,5;1,25;Cafe\u0301\u200b\n"
    assert read_rows(write(tmp_path, text))[0][1:] == ("a", 0.5, 1.25, "Caf\u00e9")


def test_audiosets_strong_labels_are_scored_against_files_of_its_segments(tmp_path):
    truth = write(
        tmp_path,
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "b0RFKhbpFJA_30000\t0.000\t10.000\t/m/07jdr\n"
        "b0RFKhbpFJA_30000\t4\t6\t/m/0k4j\n",
        "truth.tsv",
    )
    predicted = write(
        tmp_path,
        "filename\tonset\toffset\tevent_label\nYb0RFKhbpFJA_30_40.flac\t0\t10\tTrain\n",
        "prediction.tsv",
    )
    names = {"/m/07jdr": "Train", "/m/0k4j": "Car"}
    found = official.score_events(truth, predicted, name_of=lambda name: names.get(name, name))
    assert set(found["per_class"]) == {"Train", "Car"}
    assert found["per_class"]["Train"]["f1"] == 100
    assert found["micro"]["recall"] == pytest.approx(100 * 10 / 12)


@pytest.mark.parametrize("end", ["86400.5", "1e7", "1e300"])
@pytest.mark.parametrize("task", BOTH)
def test_no_time_is_later_than_a_day_unless_it_is_asked_for(end, task, tmp_path):
    truth = write(tmp_path, f"a.wav\t0\t5\tDog\na.wav\t0\t{end}\tDog\n", "truth.tsv")
    predicted = write(tmp_path, "a.wav\t0\t5\tDog\n", "prediction.tsv")
    score = getattr(official, f"score_{task}")
    for files in ((truth, predicted), (predicted, truth)):
        with pytest.raises(InputError, match=rf"truth.tsv:2: end '{end}' is later than 86400 s"):
            score(*files)
    assert score(truth, predicted, max_seconds=1e301)["micro"]["precision"] == 100


def test_names_with_quotes_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "events.tsv"
    write_events(path, ['"best" of', 'a"b'], ['5" gun'], [[(0, 1.0, 2.0)], []])
    assert [(row.clip, row.label) for row in read_rows(path)] == [
        ('"best" of', '5" gun'),
        ('a"b', ""),
    ]


def test_tables_of_label_tools_are_scored_as_the_events_in_them(tmp_path):
    truth = tmp_path / "truth.tsv"
    truth.write_text("dawn.wav\t0\t2\tDog\ndawn.wav\t3\t4\tCow\n")
    raven = tmp_path / "dawn.Table.1.selections.txt"
    head = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tTag\n"
    rows = [f"1\t{view} 1\t0\t1\tDog\n" for view in ("Waveform", "Spectrogram")]
    raven.write_text(head + "".join(rows))
    assert len(read_rows(raven)) == 1
    scores = official.score_events(truth, raven)["micro"]
    assert (scores["precision"], scores["recall"]) == (100, pytest.approx(100 / 3))
    assert official.score_events(raven, raven)["micro"]["f1"] == 100
    kaleidoscope = tmp_path / "id.csv"
    kaleidoscope.write_text(
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,MANUAL ID\n"
        "/d,,dawn.wav,0,2,Dog\n/d,,dawn.wav,3,1,Cow\n"
    )
    assert official.score_events(truth, kaleidoscope)["micro"]["f1"] == 100
    truth.write_text("night/dawn.wav\t0\t2\tDog\nnight/dawn.wav\t3\t4\tCow\n")
    kaleidoscope.write_text(kaleidoscope.read_text().replace("/d,,", "/d,night,"))
    assert official.score_events(truth, kaleidoscope)["micro"]["f1"] == 100
    raven.write_text(head + "1\tSpectrogram 1\t0\t\tDog\n")
    with pytest.raises(InputError, match=r"selections\.txt:2: the row has no end"):
        read_rows(raven)


def test_labels_of_points_and_whole_files_count_for_the_clip_and_not_as_events(tmp_path):
    truth, track, ids = tmp_path / "truth.tsv", tmp_path / "dawn.txt", tmp_path / "id.csv"
    truth.write_text("dawn.wav\t0\t2\tDog\ndawn.wav\t3\t4\tCow\n")
    track.write_text("0.000000\t2.000000\tDog\n3.500000\t3.500000\tCow\n")
    with pytest.warns(
        UserWarning, match=r"dawn\.txt: labels of a point in time: 1, first in line 2"
    ):
        assert official.score_tagging(truth, track)["micro"]["f1"] == 100
    with pytest.warns(UserWarning, match="labels of a point in time"):
        micro = official.score_events(truth, track)["micro"]
    assert (micro["precision"], micro["recall"]) == (100, pytest.approx(200 / 3))
    ids.write_text("INDIR,FOLDER,IN FILE,MANUAL ID\n/d,,dawn.wav,Dog\n/d,,dawn.wav,Cow\n")
    assert official.score_tagging(truth, ids)["micro"]["f1"] == 100
    assert official.score_events(truth, ids)["micro"]["recall"] == 0
    with pytest.raises(InputError, match="no row has an event"):
        official.score_events(ids, truth)
    truth.write_text("dawn.wav\t\t\tDog\n")
    with pytest.raises(InputError, match=r"truth\.tsv:1: the row has a label and no times"):
        read_rows(truth)
