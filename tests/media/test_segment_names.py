"""Names of ranges: those that a name stands for are written again, to the letter and exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.media.segment_names import SegmentNaming

FORMS = [
    "_{0:.3f}_{1:.3f}",
    "_{0:.1f}-{1:.1f}",
    "-{0:g}-{1:g}",
    ".{0:g}_{1:.2f}",
    "_{0:06.0f}",
    "_{0:06.0f}_{1:06.0f}",
    "_{0:010.3f}",
    "_{2}_{3}",
    "_{2}",
    "_{0:.3f}",
]


def names_like(stem, recording, start, end):
    return dict(
        name
        for naming in SegmentNaming.all_in(stem)
        for name in naming.names(recording, start, end)
    )


def written(form, recording, start, end):
    return recording + form.format(start, end, round(start * 1000), round(end * 1000))


@pytest.mark.parametrize("form", FORMS)
@given(
    id=st.text(st.sampled_from("aY-_01"), min_size=1, max_size=11),
    start=st.integers(1, 5000),
    length=st.integers(1, 600),
    other=st.integers(1, 5000),
)
def test_one_file_shows_how_all_others_are_called(form, id, start, length, other):
    like = written(form, id, other, other + length)
    expected = written(form, "b-2", start, start + length)
    assert names_like(like, "b-2", start, start + length)[expected]


@given(start=st.integers(0, 10**7), end=st.integers(0, 10**7))
def test_times_are_exact_or_there_is_no_name(start, end):
    """A file called after another time, be it a millisecond away, is another clip's."""
    for like in ("a_1.5-2.5", "a_1_2", "a_01_02", "a_1.000"):
        for name in names_like(like, "a", start / 1000, end / 1000):
            numbers = [float(text) for text in name[2:].replace("-", "_").split("_")]
            times = [start / 1000, end / 1000][: len(numbers)]
            assert times == pytest.approx(numbers, abs=1e-6) or [
                1000 * time for time in times
            ] == pytest.approx(numbers, abs=1e-6)


def test_a_small_whole_number_alone_is_no_proof():
    assert names_like("a_7", "a", 30.0, 40.0) == {"a_30": False, "a_30000": True}
    assert names_like("a_07", "a", 5.0, 6.0) == {"a_05": False}
    assert names_like("a_000007", "a", 30.0, 40.0) == {"a_000030": True}


def test_a_range_without_an_end_has_names_of_its_start_alone():
    assert names_like("a_7.5_8.5", "a", 30.0, None) == {"a_30.0": True}


@pytest.mark.parametrize("stem", ["", "a", "_30", "a_", "a_b", "a_1234567890123", "a_٣"])
def test_names_without_times(stem):
    assert not names_like(stem, "b", 30.0, 40.0)
