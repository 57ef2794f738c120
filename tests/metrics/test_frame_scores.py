"""Files of frame scores stay in their folder, whatever clips are called."""

import numpy as np
import pytest

from mmat.files import InputError
from mmat.metrics.psds import file_stem, frame_times, write_frame_scores

SCORES = np.full((3, 1), 0.5, np.float32)


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
