"""All eight orientations of pictures, and what is no orientation, by the colours of the corners."""

import fractions
import itertools
import struct

import av
import numpy as np
import pytest

from mmat.media.pictures import PictureStream, Size, orientation_of
from mmat.media.read import read_frames
from mmat.media.survey import survey

SIZE = (96, 48)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = "RGBW"  # as coded: upper left, upper right, lower left, lower right
ONE, ONE_W = 1 << 16, 1 << 30
# The display matrix's a, b, c, d, where x' = a x + c y and y' = b x + d y (y downwards), and
# the corners that are then seen.
ORIENTATIONS = {
    "as it is": ((1, 0, 0, 1), "RGBW"),
    "mirrored": ((-1, 0, 0, 1), "GRWB"),
    "upside down": ((-1, 0, 0, -1), "WBGR"),
    "mirrored upside down": ((1, 0, 0, -1), "BWRG"),
    "clockwise": ((0, 1, -1, 0), "BRWG"),
    "counterclockwise": ((0, -1, 1, 0), "GWRB"),
    "transposed": ((0, 1, 1, 0), "RBGW"),
    "transposed on the other diagonal": ((0, -1, -1, 0), "WGBR"),
}


def four_colours(_):
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    picture[:24, :48], picture[:24, 48:], picture[24:, :48], picture[24:, 48:] = (
        RED,
        GREEN,
        BLUE,
        WHITE,
    )
    return picture


def corners_of(picture):
    """Return the names of the colours in the corners, row by row."""
    colours = np.array([RED, GREEN, BLUE, WHITE])
    height, width = picture.shape[:2]
    places = itertools.product((height // 4, -height // 4), (width // 4, -width // 4))
    return "".join(
        CORNERS[np.abs(colours - picture[row, column]).sum(axis=1).argmin()]
        for row, column in places
    )


def write_turned(path, numbers, write_container, keyint=10):
    """Write an mp4 whose track header holds these nine numbers as its display matrix."""
    options = {"g": str(keyint)}
    write_container(path, audio=None, picture=four_colours, size=SIZE, options=options)
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44  # behind the times, the layer and the volume
    path.write_bytes(data[:at] + struct.pack(">9i", *numbers) + data[at + 36 :])
    return path


def matrix(a, b, c, d, scale=ONE):
    return [round(n * scale) for n in (a, b, 0, c, d, 0, 0, 0)] + [ONE_W]


def streamed(path, **size):
    """Return all pictures of a file, as a stream gives them."""
    stream = PictureStream(survey(path), 1.0, 2, Size(**size))
    stream.read_until(2.0)
    pictures, _ = stream.between(0.0, 2.0, 4)
    stream.close()
    assert not stream.problem
    return pictures, stream.aspect


@pytest.mark.parametrize("keyint", [10, 250], ids=["keyframes", "decoded"])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_all_eight_orientations_are_shown(tmp_path, name, keyint, write_container):
    numbers, seen = ORIENTATIONS[name]
    path = write_turned(tmp_path / "a.mp4", matrix(*numbers), write_container, keyint)
    stands = numbers[0] == 0
    whole, later = read_frames(path, 3), read_frames(path, 2, start_seconds=0.9, end_seconds=1.7)
    pictures, aspect = streamed(path)
    assert aspect == (0.5 if stands else 2.0)
    for picture in [*whole, *later, *pictures]:
        assert picture.shape == ((96, 48, 3) if stands else (48, 96, 3))
        assert corners_of(picture) == seen
    for square in [*read_frames(path, 2, square_px=32), *streamed(path, square_px=32)[0]]:
        assert square.shape == (32, 32, 3) and corners_of(square) == seen


def test_the_orientation_moves_every_pixel_exactly(tmp_path, write_container):
    """The eight are permutations of the same decoded pixels, by the matrix's own definition."""
    (coded,) = read_frames(write_turned(tmp_path / "a.mp4", matrix(1, 0, 0, 1), write_container), 1)
    rows, columns = np.indices(coded.shape[:2])
    for numbers, _ in ORIENTATIONS.values():
        a, b, c, d = numbers
        x, y = a * columns + c * rows, b * columns + d * rows
        shown = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1, 3), np.uint8)
        shown[y - y.min(), x - x.min()] = coded
        path = write_turned(tmp_path / "b.mp4", matrix(*numbers), write_container)
        np.testing.assert_array_equal(read_frames(path, 1)[0], shown)


@pytest.mark.parametrize("degrees", [3, -3, 44, 46, 87, 93, 177, -134])
@pytest.mark.parametrize("mirror", [1, -1])
def test_odd_angles_are_rounded_to_quarter_turns(degrees, mirror):
    def turn(angle):
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        return np.array([[cosine * mirror, sine * mirror, 0], [-sine, cosine, 0], [0, 0, 1]])

    nearest = orientation_of(np.round(turn(90 * round(degrees / 90))).astype(int) * ONE)
    assert orientation_of((turn(degrees) * ONE).astype(np.int32)) == nearest


DAMAGED = {
    "zeros": ([0] * 9, "RGBW"),
    "one number alone": ([ONE, *[0] * 8], "RGBW"),
    "the largest numbers": ([2**31 - 1] * 9, "RGBW"),
    "the smallest number": ([-(2**31), 0, 0, 0, ONE, 0, 0, 0, ONE_W], "GRWB"),
    "scaled, moved and mirrored": ([-3 * ONE, 0, 0, 0, ONE // 2, 0, 7 * ONE, 9, ONE_W], "GRWB"),
    "turned by 3 degrees": (matrix(0.9986, 0.0523, -0.0523, 0.9986), "RGBW"),
    "turned by 87 degrees": (matrix(0.0523, 0.9986, -0.9986, 0.0523), "BRWG"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_and_odd_matrices(tmp_path, name, write_container):
    numbers, seen = DAMAGED[name]
    path = write_turned(tmp_path / "a.mp4", numbers, write_container)
    assert [corners_of(picture) for picture in read_frames(path, 2)] == [seen] * 2
    assert [corners_of(picture) for picture in streamed(path)[0]] == [seen] * 4


NAL_HEADERS = {"libx264": b"\x06", "libx265": b"\x4e\x01"}  # of SEI messages before the picture
X265 = {"x265-params": "log-level=none:bframes=0"}


def orientation_message(codec, mirrored, upside_down, turns):
    """Return an H.264 or HEVC SEI message "display orientation", of quarter turns to the left."""
    bits = f"0{mirrored:b}{upside_down:b}{turns << 14:016b}"
    bits += "10" if codec == "libx264" else "1"  # it repeats, without an extension; it stays
    payload = int((bits + "1").ljust(24, "0"), 2).to_bytes(3, "big")
    payload = payload.replace(b"\0\0", b"\0\0\3")  # no start code inside
    return b"\0\0\0\1" + NAL_HEADERS[codec] + b"\x2f\x03" + payload + b"\x80"


def write_with_messages(path, codec, message, on, keyint=5):
    """Write a video without B-pictures, a message before the packets that `on(number)` names."""
    with av.open(str(path), "w") as out:
        options = {"g": str(keyint)} | (X265 if codec == "libx265" else {"bf": "0"})
        track = out.add_stream(codec, rate=25, options=options)
        track.width, track.height, track.pix_fmt = *SIZE, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(four_colours(0)) for _ in range(50)]
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, fractions.Fraction(1, 25)
        packets = [packet for frame in [*frames, None] for packet in track.encode(frame)]
        for number, old in enumerate(packets):
            packet = av.Packet((message if on(number) else b"") + bytes(old))
            packet.stream, packet.pts, packet.dts = track, old.pts, old.dts
            packet.time_base, packet.is_keyframe = old.time_base, old.is_keyframe
            out.mux(packet)
    return path


@pytest.mark.parametrize("codec", NAL_HEADERS)
@pytest.mark.parametrize(
    ("message", "seen"),
    [((1, 0, 0), "GRWB"), ((0, 1, 0), "BWRG"), ((0, 0, 1), "GWRB"), ((0, 0, 2), "WBGR")],
)
def test_orientation_in_the_pictures_themselves(tmp_path, codec, message, seen):
    path = tmp_path / "a.ts"
    write_with_messages(path, codec, orientation_message(codec, *message), lambda n: True)
    pictures = [*read_frames(path, 3), *read_frames(path, 2, 0.5, 0.7), *streamed(path)[0]]
    assert {corners_of(picture) for picture in pictures} == {seen}
    with av.open(str(path)) as container:  # FFmpeg says so too
        frame = next(container.decode(video=0))
        assert bytes(frame.side_data["DISPLAYMATRIX"])


@pytest.mark.parametrize("codec", NAL_HEADERS)
@pytest.mark.parametrize("keyint", [5, 50])
def test_keyframes_alone_may_carry_the_orientation(tmp_path, codec, keyint):
    """The first picture that is asked for may be any other."""
    path = tmp_path / "a.ts"
    message = orientation_message(codec, 0, 0, 1)
    write_with_messages(path, codec, message, lambda number: number % keyint == 0, keyint)
    for span in [(0.0, None), (0.1, 0.2), (0.5, 0.7), (1.31, 1.39), (1.7, None)]:
        for n_frames in (1, 4):
            pictures = read_frames(path, n_frames, *span)
            assert {corners_of(picture) for picture in pictures} == {"GWRB"}, (span, n_frames)
    assert {corners_of(picture) for picture in streamed(path)[0]} == {"GWRB"}


def test_a_message_before_one_packet_alone_turns_nothing(tmp_path):
    message = orientation_message("libx264", 1, 0, 0)
    path = write_with_messages(tmp_path / "a.ts", "libx264", message, lambda n: n == 27)
    assert {corners_of(picture) for picture in [*read_frames(path, 9), *streamed(path)[0]]} == {
        "RGBW"
    }


def test_side_data_that_pyav_does_not_know_leave_the_rotation(tmp_path):
    """Motion JPEG with Exif: a description, which PyAV has no name for, and "turn clockwise"."""
    tags = [(0x010E, 2, 4, b"dog\0"), (0x0112, 3, 1, struct.pack("<HH", 6, 0))]
    entries = b"".join(struct.pack("<HHI4s", *tag) for tag in tags)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as out:
        track = out.add_stream("mjpeg", rate=10)
        track.width, track.height, track.pix_fmt = *SIZE, "yuvj420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(four_colours(0))
            frame.pts, frame.time_base = number, fractions.Fraction(1, 10)
            for old in track.encode(frame):
                packet = av.Packet(bytes(old)[:2] + segment + bytes(old)[2:])
                packet.stream, packet.pts, packet.dts = track, old.pts, old.dts
                packet.time_base, packet.is_keyframe = old.time_base, True
                out.mux(packet)
    assert {corners_of(picture) for picture in read_frames(path, 3)} == {"BRWG"}
