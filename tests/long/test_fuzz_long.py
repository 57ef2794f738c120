"""Two thousand damaged media files, among intact ones: a few minutes."""

import collections
import pathlib
import tempfile

import pytest

from tests.media.damage import DAMAGES, N_DAMAGED
from tests.media.fuzzing import check_answers, check_shards, limited_to, read_corpus, write_corpus


@pytest.fixture(scope="module")
def corpus():
    """(Folder, {file: whether it is damaged}); removed at the end, for it is 200 MB."""
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder), write_corpus(pathlib.Path(folder), range(N_DAMAGED))


def test_reading_damaged_files_gives_media_or_a_reason(corpus):
    folder, files = corpus
    check_answers(read_corpus(folder, files, limit_seconds=1200), files)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_damaged_files_cost_no_other_clip(corpus, tmp_path):
    folder, files = corpus
    with limited_to(seconds=1200):
        failures = check_shards(folder, files, tmp_path)
    failed = collections.Counter(file.split(" ", 1)[1].rsplit(" ", 1)[0] for file in failures)
    for name in DAMAGES:
        print(f"{name:16} {failed[name]:4} of {-(-N_DAMAGED // len(DAMAGES)):4} without a record")
    assert 0 < len(failures) < N_DAMAGED
