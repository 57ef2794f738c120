"""A range of a file is the same part of the whole: of all formats, also joined and unfinished."""

import numpy as np
import pytest

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ, read_media
from tests.media.made_joined import DAMAGES, FORMATS

LATE_SAMPLES = 24  # 1.5 ms: containers round their times to milliseconds
RANGES = [(0.5, 1.5), (2.2, 2.9), (2.6, 3.7), (3.6, None), (4.2, 9.0)]
WHAT_HAPPENS = ("whole", "joined", "joined to another rate", "streamed", "begun late")
CASES = [
    (name, damage)
    for name, row in FORMATS.items()
    for damage in WHAT_HAPPENS
    if DAMAGES[damage].happens_to(row)
]


def sound_of(path, *span):
    """Return a range's sound, nothing where there is none."""
    try:
        return read_media(path, *span, n_frames=0).waveform
    except InputError as error:
        assert "nothing on it from" in str(error)
        return np.zeros(0, np.float32)


def differ(one, other):
    """Return how far two sounds differ, at the best of small shifts, but for their ends."""
    n = min(len(one), len(other)) - 4 * LATE_SAMPLES
    if n <= 0:
        return 0.0
    middle = one[2 * LATE_SAMPLES : 2 * LATE_SAMPLES + n]
    shifts = range(LATE_SAMPLES, 3 * LATE_SAMPLES + 1)
    return min(float(np.abs(middle - other[shift : shift + n]).max()) for shift in shifts)


@pytest.mark.parametrize(("name", "damage"), CASES, ids=lambda word: word.replace(" ", "-"))
def test_a_range_is_that_part_of_the_whole(tmp_path, name, damage):
    path = tmp_path / name
    path.write_bytes(DAMAGES[damage].file(name))
    try:
        whole = read_media(path, n_frames=0).waveform
    except InputError:  # what FFmpeg cannot open at all
        return
    for begin, end in RANGES:
        expected = whole[round(begin * SAMPLE_RATE_HZ) :]
        if end is not None:
            expected = expected[: round((end - begin) * SAMPLE_RATE_HZ)]
        got = sound_of(path, begin, end)
        assert abs(len(got) - len(expected)) <= LATE_SAMPLES, (begin, end)
        # What a codec makes of a sound depends a bit on where it began.
        assert differ(got, expected) < 0.1, (begin, end)
