"""Tables: what is written comes back, and the figures with it; wrong files name the line."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from mmat.evaluation import files
from mmat.files import InputError
from mmat.metrics import tagging

LABELS = ["Fire engine, fire truck (siren)", 'a "quoted" dog', "Öre"]


def write(folder, text, name="table.tsv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(arrays.arrays(np.float32, (4, 3), elements=st.floats(0, 1, width=32)))
def test_scores_come_back_bit_for_bit(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("tags") / "tags.tsv"
    ids = [f"clip {i}.mp4" for i in range(4)]
    files.write_tags_tsv(path, ids, LABELS, scores >= 0.5, scores)
    back = files.read_tags_tsv(path)
    assert (back.ids, back.labels) == (ids, LABELS)
    assert np.array_equal(back.scores, scores) and back.scores.dtype == np.float32
    assert np.array_equal(back.fired, scores >= 0.5)


@given(arrays.arrays(np.float32, (2, 4, 3), elements=st.floats(-3, 3, width=32)))
def test_values_stand_in_their_table_bit_for_bit(tmp_path_factory, both):
    path = tmp_path_factory.mktemp("values") / "values.tsv"
    files.write_values_tsv(path, "abcd", LABELS, *both)
    head, *rows = (line.split("\t") for line in path.read_text().splitlines())
    assert head == files.VALUES_HEADER
    assert [row[:2] for row in rows] == [[clip, label] for clip in "abcd" for label in LABELS]
    back = np.array([row[2:] for row in rows], np.float32).T.reshape(both.shape)
    assert np.array_equal(back, both)


@given(arrays.arrays(bool, (4, 3)))
def test_truth_comes_back_and_clips_without_labels_with_it(tmp_path_factory, truth):
    path = tmp_path_factory.mktemp("truth") / "truth.tsv"
    ids = ["b", "a", "d", "c"]
    files.write_truth_tsv(path, ids, LABELS, truth)
    back = files.read_truth_tsv(path, LABELS)
    assert back.ids == ids
    assert np.array_equal(back.truth, truth)
    turned = files.read_truth_tsv(path, LABELS, ids=ids[::-1])
    assert np.array_equal(turned.truth, truth[::-1])


def test_figures_can_be_computed_again_from_the_files_alone(tmp_path):
    rng = np.random.default_rng(1)
    truth = rng.random((50, 3)) < 0.4
    scores = rng.random((50, 3)).astype(np.float32)
    ids = [f"{i:03}" for i in range(50)]
    files.write_truth_tsv(tmp_path / "truth.tsv", ids, LABELS, truth)
    files.write_tags_tsv(tmp_path / "tags.tsv", ids, LABELS, scores >= 0.5, scores)
    tags = files.read_tags_tsv(tmp_path / "tags.tsv")
    again = files.read_truth_tsv(tmp_path / "truth.tsv", tags.labels, tags.ids).truth
    assert tagging.precision_recall_f1(again, tags.fired) == tagging.precision_recall_f1(
        truth, scores >= 0.5
    )
    assert tagging.mean_average_precision(again, tags.scores) == tagging.mean_average_precision(
        truth, scores
    )


def test_crlf_files_are_read_too(tmp_path):
    path = write(tmp_path, "filename\tlabel\r\na.wav\tDog\r\nb.wav\t\r\n")
    assert files.read_truth_tsv(path, ["Dog"]).truth.tolist() == [[True], [False]]


HEAD = "filename\tlabel\tscore\tfired\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first line must be the columns"),
        ("a,b\n", "first line must be the columns"),
        (b"\x89PNG\r\n\xff\xfe", "not a UTF-8 text file"),
        (HEAD + "a\tDog\t0.5\n", "tsv:2: not the columns"),
        (HEAD + "a\tDog\thigh\t1\n", "tsv:2: score 'high'"),
        (HEAD + "a\tDog\t0.5\tyes\n", "tsv:2: .*fired 'yes'"),
        (HEAD + "a\tDog\t0.5\t1\na\tCat\t0.5\t1\nb\tCat\t0.5\t1\n", "tsv:4: 'Dog' of 'b'"),
        (HEAD + "a\tDog\t0.5\t1\na\tCat\t0.5\t1\nb\tDog\t0.5\t1\n", "the last clip lacks rows"),
        (HEAD + "a\tDog\t0.5\t1\na\tDog\t0.5\t1\n", "tsv:3: "),
    ],
)
def test_wrong_prediction_files_name_the_line(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        files.read_tags_tsv(write(tmp_path, text))
    assert "\n" not in str(caught.value) and "table.tsv" in str(caught.value)


def test_wrong_truth_files_and_missing_files(tmp_path):
    path = write(tmp_path, "filename\tlabel\na\tDog\na\tWolf\n")
    with pytest.raises(InputError, match="tsv:3: unknown label 'Wolf'"):
        files.read_truth_tsv(path, ["Dog"])
    path = write(tmp_path, "filename\tlabel\na\tDog\n")
    with pytest.raises(InputError, match="no row for the clip 'b'"):
        files.read_truth_tsv(path, ["Dog"], ids=["a", "b"])
    with pytest.raises(InputError, match="No such file"):
        files.read_truth_tsv(tmp_path / "none.tsv", ["Dog"])


def test_names_that_would_break_the_table_are_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "truth.tsv"
    for ids, labels in [(["a\tb"], ["Dog"]), (["a"], [""]), (["a", "b"], ["Dog"])]:
        with pytest.raises(InputError):
            files.write_truth_tsv(path, ids, labels, [[True]])
    with pytest.raises(InputError, match="comes twice"):
        files.write_truth_tsv(path, ["a", "a"], ["Dog"], [[True], [True]])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_groups_are_read_from_what_a_spreadsheet_wrote(tmp_path, mark, encoding):
    text = mark.join(["id", "file", "source_group"]) + "\r\n"
    text += mark.join(["a", "a.wav", '"kennel;yard"']) + "\r\n" + mark.join(["b", "b.wav", ""])
    assert files.read_groups(write(tmp_path, text.encode(encoding))) == {
        "a": "kennel;yard",
        "b": "",
    }
