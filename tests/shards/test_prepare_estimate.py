"""The estimate of disk and time: exact where all clips are alike, and nothing is written."""

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.shards.prepare import Estimate, estimate, prepare

LABELS = LabelSet.of(["a"])


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for i in range(10, 40):
        soundfile.write(folder / f"{i}.wav", np.full(8000, 0.5), 16000)
    return folder


def clips(media, n_missing=0):
    names = [*sorted(path.name for path in media.iterdir()), *["none.wav"] * n_missing]
    return [Clip(f"{i:02}", name, ("a",)) for i, name in enumerate(names)]


def test_the_size_is_that_of_the_shards(media, tmp_path):
    found = estimate(clips(media, 5), media, LABELS, clip_seconds=0.5)
    assert (found.clips, found.found, found.sampled, found.unreadable) == (35, 30, 20, 0)
    assert found.decode_seconds > 0 and found.write_seconds > 0
    index = prepare(
        clips(media), media, tmp_path / "shards", LABELS, clip_seconds=0.5, workers=0,
        progress=False,
    )  # fmt: skip
    assert found.n_bytes == pytest.approx(index["splits"]["train"]["files"][0]["bytes"])


def test_what_cannot_be_read_takes_no_disk(media, tmp_path):
    for i, path in enumerate(sorted(media.iterdir())[:10]):
        (tmp_path / path.name).write_bytes(path.read_bytes() if i % 2 else b"no sound at all")
    found = estimate(clips(tmp_path), tmp_path, LABELS, clip_seconds=0.5, n_sample=50)
    assert (found.sampled, found.unreadable) == (10, 5)
    assert found.n_bytes == pytest.approx(5 * found.bytes_a_clip)


def test_the_image_network_counts(media, tmp_path, write_container):
    write_container(tmp_path / "a.mp4", n_pictures=5)
    seen = []

    class Network:
        name, input_size_px = "zeros", 32

        def classify(self, pictures):
            seen.append(pictures.shape)
            return np.zeros((len(pictures), 1000))

    movie = [Clip("a", "a.mp4")]
    found = estimate(movie, tmp_path, LABELS, Network(), n_frames=2, clip_seconds=1.0)
    assert set(seen) == {(2, 32, 32, 3)}
    assert found.bytes_a_clip > 2 * 16000 + 2 * 2 * 1000


def test_time_is_bounded_by_cores_workers_and_writing():
    of = Estimate(100, 100, 20, 0, 1.0, decode_seconds=0.4, write_seconds=0.1)
    assert of.seconds(0, cores=8) == pytest.approx(50)
    assert of.seconds(1, cores=8) == pytest.approx(40)
    assert of.seconds(8, cores=64) == pytest.approx(10)
    assert of.seconds(8, cores=2) == pytest.approx(25)


def test_a_folder_without_the_clips_is_refused(media, tmp_path):
    with pytest.raises(InputError, match="holds none of the 30 clips"):
        estimate(clips(media), tmp_path, LABELS)
