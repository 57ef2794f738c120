"""Pictures of real videos, which carry their number as a bar code; the choice of packets."""

import fractions
import itertools

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.pictures import Packet, choose_packets, packets_to_decode
from mmat.media.read import read_frames

SIZE = (96, 64)
N_BITS = 10


def bar_code(number):
    """A grey picture with the number in black and white bars."""
    picture = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    for bit in range(N_BITS):
        picture[8:56, 8 + 8 * bit : 16 + 8 * bit] = 255 * (number >> bit & 1)
    return picture


def numbers_of(pictures):
    """Read the bar codes."""
    bars = pictures[:, 20:44, 8 : 8 + 8 * N_BITS].mean(axis=(1, 3))
    bits = bars.reshape(len(pictures), N_BITS, 8)[:, :, 2:6].mean(axis=2) > 128
    return bits @ (1 << np.arange(N_BITS))


X264 = {"sc_threshold": "0"}  # keyframes where they are asked for alone
# name, codec, options beside the keyframe interval
VIDEOS = [
    ("a.mp4", "libx264", X264),
    ("a.mov", "libx264", X264 | {"bf": "0"}),
    ("open.mp4", "libx264", X264 | {"x264-params": "open-gop=1:bframes=4"}),
    ("open.ts", "libx264", X264 | {"x264-params": "open-gop=1:bframes=4"}),
    ("a.ts", "libx264", X264),
    ("a.mkv", "libx264", X264),
    ("refresh.mkv", "libx264", X264 | {"x264-params": "intra-refresh=1"}),
    ("a.mkv", "libx265", {"x265-params": "log-level=none:scenecut=0"}),
    ("a.webm", "libvpx-vp9", {}),
    ("a.webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    ("a.avi", "mpeg4", {}),
    ("b.mkv", "mpeg4", {"bf": "2"}),
    ("a.ts", "mpeg2video", {"bf": "2"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), VIDEOS)
def test_pictures_are_within_half_a_keyframe_interval(
    tmp_path, name, codec, options, write_container
):
    """Where keyframes lie further apart than two asked times they are those of the very times."""
    for keyint, fps in [(6, 10), (25, 25), (25, 10), (250, 25)]:
        path = write_container(
            tmp_path / name,
            codec,
            audio=None,
            n_pictures=6 * fps,
            fps=fps,
            picture=bar_code,
            size=SIZE,
            options={"g": str(keyint), **options},
        )
        for start, end, n_frames in [(0.0, 6.0, 8), (1.3, 4.6, 3), (2.0, 2.8, 4), (0.0, 6.0, 1)]:
            asked = start + (np.arange(n_frames) + 0.5) * (end - start) / n_frames
            pictures = read_frames(path, n_frames, start, None if end == 6.0 else end)
            late = asked - numbers_of(pictures) / fps
            interval = keyint / fps
            near = interval <= 2 * (end - start) / n_frames and interval < 6.0
            # "The picture shown" began up to a picture earlier; AVI's clock is one picture late.
            assert late.max() <= max(interval / 2 * near, 1 / fps) + 0.042, (keyint, fps, asked)
            assert late.min() >= -interval / 2 * near - 0.042, (keyint, fps, asked)


def every_picture(path):
    """Decode all of it: {number: RGB picture}."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return dict(enumerate(frames))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
@pytest.mark.parametrize("keyint", [5, 250])
def test_what_is_left_undecoded_changes_no_bit(tmp_path, codec, keyint, write_container):
    noise = np.random.default_rng(0).integers(0, 60, (60, 64, 96, 3), dtype=np.uint8)
    path = write_container(
        tmp_path / "a.mkv",
        codec,
        audio=None,
        n_pictures=60,
        picture=lambda number: bar_code(number) // 2 + noise[number],
        size=SIZE,
        options={"g": str(keyint)} | ({"x265-params": "log-level=none"} if "265" in codec else {}),
    )
    all_of_them = every_picture(path)
    # The code is dark here, so the picture is known by being equal to one of them.
    for picture in read_frames(path, 7):
        assert any(np.array_equal(picture, other) for other in all_of_them.values())


@pytest.mark.parametrize("first", [0, 13, 1000])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_clock_that_begins_late_is_no_delay(tmp_path, name, first, write_container):
    path = write_container(
        tmp_path / name,
        audio=None,
        picture=bar_code,
        size=SIZE,
        first=first,
        options={"g": "250"},
    )
    assert numbers_of(read_frames(path, 5)) == pytest.approx([5, 15, 25, 35, 45], abs=1)


def test_pictures_that_an_edit_list_cuts_off_are_not_shown(tmp_path, write_container):
    """The first ten pictures lie before second 0: an mp4 says so in an edit list."""
    path = write_container(
        tmp_path / "a.mp4",
        audio=None,
        picture=bar_code,
        size=SIZE,
        first=-10,
        options={"g": "250", "bf": "0"},
        file_options={"avoid_negative_ts": "disabled"},
    )
    numbers = numbers_of(read_frames(path, 4))
    assert numbers == pytest.approx([15, 25, 35, 45], abs=1)


def test_the_sound_may_be_longer_than_the_pictures(tmp_path, sine, write_container):
    path = write_container(
        tmp_path / "a.mp4", sound=sine(8.0), picture=bar_code, size=SIZE, n_pictures=50
    )
    assert numbers_of(read_frames(path, 4)) == pytest.approx([25, 49, 49, 49], abs=1)


def test_damage_costs_the_pictures_around_it(tmp_path, write_container):
    """Whatever is damaged, there are as many pictures as asked, or a line that says why not."""
    path = write_container(
        tmp_path / "a.mkv", audio=None, picture=bar_code, size=SIZE, options={"g": "10"}
    )
    whole = path.read_bytes()
    good = numbers_of(read_frames(path, 5))
    rng = np.random.default_rng(0)
    n_alike = []
    for _ in range(30):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole) // 5, len(whole), 3):
            damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            numbers = numbers_of(read_frames(path, 5))
        except InputError as error:
            assert "\n" not in str(error)
            continue
        n_alike.append((numbers == good).sum())
    assert len(n_alike) > 20 and np.mean(n_alike) > 2.5


def test_a_video_cut_off_gives_its_last_picture(tmp_path, write_container):
    for keyint in ("10", "250"):
        path = write_container(
            tmp_path / "a.mkv", audio=None, picture=bar_code, size=SIZE, options={"g": keyint}
        )
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        numbers = numbers_of(read_frames(path, 5))
        assert (np.diff(numbers) >= 0).all() and 12 <= numbers[-1] < 40


def corner_picture(_):
    """Red in the upper left corner, black elsewhere."""
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:24, :24, 0] = 255
    return picture


@pytest.mark.parametrize(("rotation", "corner"), [(0, "ul"), (90, "ll"), (-90, "ur"), (180, "lr")])
def test_rotated_video_comes_out_upright(tmp_path, rotation, corner, write_container):
    path = write_container(
        tmp_path / "a.mp4", audio=None, picture=corner_picture, size=(96, 48), rotation=rotation
    )
    (frame,) = read_frames(path, n_frames=1)
    assert frame.shape == ((96, 48, 3) if rotation % 180 else (48, 96, 3))
    rows = {"u": slice(2, 22), "l": slice(-22, -2)}[corner[0]]
    columns = {"l": slice(2, 22), "r": slice(-22, -2)}[corner[1]]
    assert frame[rows, columns, 0].min() > 180
    assert frame[..., 0].mean() < 60


def test_wide_pixels_are_made_square(tmp_path, write_container):
    path = write_container(tmp_path / "a.mp4", audio=None, aspect=fractions.Fraction(2, 1))
    assert read_frames(path, 1).shape == (1, 48, 128, 3)


def test_large_pictures_are_scaled_down(tmp_path, write_container):
    path = write_container(tmp_path / "a.mp4", audio=None, size=(640, 360), n_pictures=5)
    assert read_frames(path, 2).shape == (2, 180, 320, 3)
    assert read_frames(path, 2, max_side_px=1000).shape == (2, 360, 640, 3)


def test_the_square_holds_the_whole_picture(tmp_path, write_container):
    def picture(_):
        wide = np.zeros((48, 96, 3), np.uint8)
        wide[:, :12], wide[:, -12:] = 200, 100
        return wide

    path = write_container(tmp_path / "a.mp4", audio=None, picture=picture, size=(96, 48))
    (frame,) = read_frames(path, 1, square_px=64)
    assert frame.shape == (64, 64, 3)
    assert frame[:, :6].mean() == pytest.approx(200, abs=8)
    assert frame[:, -6:].mean() == pytest.approx(100, abs=8)
    assert frame[:, 16:48].mean() < 5


def test_a_size_that_changes_inside_is_made_one(tmp_path, write_container):
    """An mpeg-ts of two videos, one behind the other, of two sizes."""
    parts = []
    for number, size in enumerate([(64, 48), (128, 64)]):
        path = write_container(
            tmp_path / f"{number}.ts",
            "mpeg2video",
            None,
            size=size,
            first=25 * number,
            n_pictures=25,
        )
        parts.append(path.read_bytes())
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    assert read_frames(tmp_path / "both.ts", 6).shape == (6, 48, 64, 3)


def test_no_picture_is_too_few(tmp_path, write_container):
    path = write_container(tmp_path / "a.mp4", n_pictures=5)
    for n_frames in (0, -1):
        with pytest.raises(InputError, match="n_frames must be 1 or more"):
            read_frames(path, n_frames)


def packets_of(intervals, fps=25.0, begin=0.0, reorder=0):
    """Return the packets of groups of so many pictures; reorder: B-pictures before each other one.

    The order is that of decoding.
    """
    packets, shown = [], itertools.count()
    for length in intervals:
        group = [next(shown) for _ in range(length)]
        order = [group[0]]
        for i in range(1, length, reorder + 1):
            part = group[i : i + reorder + 1]
            order += [part[-1], *part[:-1]]
        packets += [Packet(begin + n / fps, n == group[0], True, (n, None)) for n in order]
    return packets


def centres(n_frames, start, end):
    return start + (np.arange(n_frames) + 0.5) * (end - start) / n_frames


@settings(max_examples=200, deadline=None)
@given(
    intervals=st.lists(st.integers(1, 80), min_size=1, max_size=12),
    fps=st.sampled_from([5.0, 25.0, 30000 / 1001]),
    reorder=st.integers(0, 3),
    n_frames=st.integers(1, 10),
    part=st.tuples(st.floats(0, 0.8), st.floats(0.1, 1.0)),
)
def test_the_rule(intervals, fps, reorder, n_frames, part):
    packets = packets_of(intervals, fps, reorder=reorder)
    total = len(packets) / fps
    start = part[0] * total
    end = min(total, start + part[1] * total)
    times, distance = centres(n_frames, start, end), (end - start) / n_frames
    keys = np.array([p.seconds for p in packets if p.is_keyframe])
    choice = choose_packets(packets, times, end)
    assert choice == sorted(choice, key=lambda n: packets[n].seconds)
    for time, n in zip(times, choice, strict=True):
        late = time - packets[n].seconds
        around = keys[max(0, (keys <= time).sum() - 1) :][:2]
        interval = np.diff(around)[0] if len(around) == 2 else None
        if interval is None:  # after the last keyframe: as before it, or the very picture
            known = np.diff(keys)[-1] if len(keys) > 1 else 0.0
            assert -0.001 <= late <= max(known / 2, 1 / fps) + 0.001
        elif interval <= 2 * distance:
            assert abs(late) <= max(interval / 2, 1 / fps) + 0.001
            nearest = keys[np.argmin(np.abs(keys - time))]
            if start + 0.001 < nearest < end - 0.001:
                assert packets[n].is_keyframe and abs(packets[n].seconds - time) <= interval / 2
        else:
            assert -0.001 - 1e-9 <= late <= 1 / fps + 1e-9


@settings(max_examples=100, deadline=None)
@given(
    intervals=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    reorder=st.integers(0, 3),
    data=st.data(),
)
def test_decoding_begins_at_a_keyframe_and_reaches_what_is_wanted(intervals, reorder, data):
    packets = packets_of(intervals, reorder=reorder)
    wanted = data.draw(st.lists(st.integers(0, len(packets) - 1), min_size=1, max_size=8))
    needs = packets_to_decode(packets, wanted)
    assert set().union(*(need.wanted for need in needs)) == set(wanted)
    assert [need.begin for need in needs] == sorted({need.begin for need in needs})
    for need in needs:
        assert packets[need.begin].is_keyframe
        assert need.end == max(need.wanted) >= need.begin
        assert not any(packets[n].is_keyframe for n in range(need.begin + 1, need.end + 1))


def test_a_picture_shown_before_its_keyframe_needs_the_group_before():
    """An open group: in decoding order the keyframe of second 1, then pictures shown before it."""
    closed = packets_of([25])[:23]
    leading = [Packet(n / 25, False, True, (n, None)) for n in (23, 24)]
    packets = [*closed, Packet(1.0, True, True, (25, None)), *leading]
    (need,) = packets_to_decode(packets, [24])
    assert (need.begin, need.end) == (0, 24)


def test_a_single_keyframe_gives_the_very_pictures():
    packets = packets_of([250])
    assert choose_packets(packets, centres(8, 0.0, 10.0), 10.0) == [
        15,
        46,
        78,
        109,
        140,
        171,
        203,
        234,
    ]
    assert choose_packets(packets, centres(1, 0.0, 10.0), 10.0) == [125]


def test_a_keyframe_a_second_gives_keyframes():
    packets = packets_of([25] * 10)
    assert choose_packets(packets, centres(8, 0.0, 10.0), 10.0) == [
        25,
        50,
        75,
        100,
        150,
        175,
        200,
        225,
    ]


def test_pictures_that_an_edit_list_hides_are_never_chosen():
    packets = [p._replace(is_shown=p.seconds >= 0) for p in packets_of([25] * 4, begin=-1.0)]
    assert min(choose_packets(packets, centres(3, 0.0, 3.0), 3.0)) >= 25


def test_before_the_first_picture_it_is_the_first():
    packets = packets_of([25] * 4, begin=2.0)
    assert choose_packets(packets, centres(3, 0.0, 6.0), 6.0)[0] == 0
