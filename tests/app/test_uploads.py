"""Uploads: read within limits, refused in words, deleted, remembered for a while."""

import contextlib
import os
import secrets
import shutil
import signal

import numpy as np
import pytest
import soundfile

from mmat.app.uploads import N_REMEMBERED, Limits, LRUCache, Uploads
from mmat.files import InputError
from mmat.media.windows import MediaStream, WindowSpec
from tests.media.damage import write_damaged, write_intact
from tests.media.made_media import make_sine, write_media_file

N_DAMAGED = 200
SPEC = WindowSpec(square_px=64)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """14 s of sound and pictures."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_media_file(path, sound=make_sine(14.0), n_pictures=28, fps=2)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


@pytest.fixture
def uploads(folder):
    with Uploads(folder) as uploads:
        yield uploads


def upload(folder, path, name=None):
    """Lay a file where Gradio does: in a folder of its own."""
    place = folder / secrets.token_hex(8)
    place.mkdir()
    return shutil.copy(path, place / (name or path.name))


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_upload_is_read_and_gone(uploads, folder, film):
    held = uploads.read(upload(folder, film), SPEC)
    assert files_in(folder) == []
    assert held.seconds == pytest.approx(14.0, abs=0.1)
    with MediaStream(film, SPEC) as stream:
        for own, there in zip(held, stream, strict=True):
            np.testing.assert_array_equal(own.media.waveform, there.media.waveform)
            np.testing.assert_array_equal(own.media.frames, there.media.frames)


def test_all_windows_that_may_be_asked_for_are_read_before_it_is_gone(folder, film):
    heard = WindowSpec(clip_seconds=4.0, hop_seconds=2.0, n_frames=0)
    with Uploads(folder, specs=[SPEC, heard]) as uploads:
        path = upload(folder, film)
        assert uploads.read(path, SPEC).windows[0].media.frames.shape == (8, 64, 64, 3)
        assert files_in(folder) == []
        assert [w.media.duration_seconds for w in uploads.read(path, heard)] == [4.0] * 6
        with pytest.raises(InputError, match="no longer here"):
            uploads.read(path, WindowSpec(clip_seconds=3.0))


def test_what_is_gone_can_be_asked_about_again(uploads, folder, film):
    path = upload(folder, film)
    first = uploads.read(path, SPEC)
    assert uploads.read(path, SPEC) is first
    for _ in range(N_REMEMBERED):
        uploads.read(upload(folder, film), SPEC)
    with pytest.raises(InputError, match="film.mp4: the clip is no longer here; choose"):
        uploads.read(path, SPEC)


def test_a_refusal_is_remembered_too(uploads, folder, film):
    path = upload(folder, film)
    with open(path, "wb") as file:
        file.write(b"no film at all")
    for _ in range(2):
        with pytest.raises(InputError, match="^film.mp4: not a media file that can be read"):
            uploads.read(path, SPEC)
    assert files_in(folder) == []


def test_files_elsewhere_are_neither_read_nor_deleted(uploads, folder, film, tmp_path):
    (folder / "link").symlink_to(film)
    for path in (film, folder / "link", folder / ".." / "x", "/etc/passwd", "http://a/b.mp4"):
        with pytest.raises(InputError, match="this is no upload"):
            uploads.read(path, SPEC)
    assert film.exists()


def test_limits_are_explained(folder, film):
    for limits, words in (
        (
            Limits(megabytes=0.01),
            "film.mp4: larger than 0.01 MB, the most that this page takes; choose",
        ),
        (Limits(seconds=10.0), "film.mp4: longer than 10 s, the most that this page takes; choose"),
        (Limits(decode_seconds=0.001), "film.mp4: takes longer than 0.001 s to decode"),
    ):
        with Uploads(folder, limits) as uploads, pytest.raises(InputError, match=words):
            uploads.read(upload(folder, film), SPEC)
        assert files_in(folder) == []


def test_a_clip_of_just_the_longest_is_taken(folder, film):
    with Uploads(folder, Limits(seconds=14.0)) as uploads:
        assert uploads.read(upload(folder, film), SPEC).windows[0].media.frames is not None


def test_a_process_that_dies_costs_its_clip_alone(uploads, folder, film):
    uploads.read(upload(folder, film), SPEC)
    os.kill(uploads._process.pid, signal.SIGKILL)
    with contextlib.suppress(InputError):  # it may not have ended yet, and die of this one
        uploads.read(upload(folder, film), SPEC)
    assert uploads.read(upload(folder, film), SPEC).windows[0].media.waveform is not None


def test_what_nobody_asks_about_is_swept_away(uploads, folder, film):
    old, new = upload(folder, film), upload(folder, film)
    os.utime(old.parent, (0, 0))
    assert uploads.sweep() >= 2 * film.stat().st_size  # bytes still come in
    os.utime(old, (0, 0))
    assert film.stat().st_size <= uploads.sweep() < 2 * film.stat().st_size
    assert not old.parent.exists() and new.exists()


def test_200_damaged_uploads_are_answered_or_refused_in_a_line(folder, tmp_path):
    (tmp_path / "made").mkdir()
    intact = write_intact(tmp_path / "made")
    damaged = write_damaged(tmp_path / "made", intact, range(N_DAMAGED))
    read = refused = 0
    with Uploads(folder, Limits(decode_seconds=20.0)) as uploads:
        for path in damaged:
            try:
                (first, *_) = uploads.read(upload(folder, path), SPEC)
                read += 1
                assert first.media.waveform is not None or first.media.frames is not None
            except InputError as error:
                refused += 1
                assert str(error).startswith(path.name) and "\n" not in str(error)
                assert str(folder) not in str(error)
        assert files_in(folder) == []
        sound = tmp_path / "fine.wav"
        soundfile.write(sound, np.zeros(1600), 16000)
        assert uploads.read(upload(folder, sound), SPEC).seconds == 0.1
    assert read > 20 and refused > 20 and read + refused == N_DAMAGED


def test_the_one_that_nobody_asked_for_longest_goes():
    cache = LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_a_newer_value_takes_the_place_of_the_older():
    cache = LRUCache(2)
    for value in range(5):
        cache.put("a", value)
    cache.put("b", 9)
    assert (cache.get("a"), cache.get("b")) == (4, 9)
