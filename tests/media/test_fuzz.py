"""Damaged media files: a slice of the two thousand of `tests/long/test_fuzz_long.py`."""

import pytest

from tests.media.damage import N_DAMAGED
from tests.media.fuzzing import check_answers, check_shards, limited_to, read_corpus, write_corpus

# Every 33rd file: all kinds of damage and of media; and one with sound of dozens of channels.
SLICE = sorted({713, *range(0, N_DAMAGED, 33)})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """(Folder, {file: whether it is damaged})."""
    folder = tmp_path_factory.mktemp("media")
    return folder, write_corpus(folder, SLICE)


def test_reading_damaged_files_gives_media_or_a_reason(corpus):
    folder, files = corpus
    check_answers(read_corpus(folder, files, limit_seconds=120), files)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_damaged_files_cost_no_other_clip(corpus, tmp_path):
    folder, files = corpus
    with limited_to(seconds=120):
        failures = check_shards(folder, files, tmp_path)
    assert 0 < len(failures) < len(SLICE)
