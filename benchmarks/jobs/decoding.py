"""Reading media: 10 s of sound, 44.1 kHz of two channels, to 16 kHz mono; 8 pictures of 10 s."""

from benchmarks.contest import Contest, Pair
from benchmarks.made_media import write_movies, write_sound
from benchmarks.place import Contests, Place

SOUNDS = ("wav", "flac", "mp3", "mp4")
# Width, height, and the intervals of keyframes in pictures, 25 of them a second.
MOVIES = (((1280, 720), (25, 50, 250)), ((1920, 1080), (50,)))
QUICK_MOVIES = (((320, 180), (50,)),)
BARE = {"mp4": "PyAV and soxr"}
SOUND_AIM, KEYFRAME_AIM = 1 / 1.3, 5.0
# Pictures are the nearest keyframes while those lie at most two of eight parts of 10 s apart.
LONGEST_INTERVAL = 62


def contests(place: Place) -> Contests:
    yield from (sound(place, suffix) for suffix in SOUNDS)
    for size, intervals in QUICK_MOVIES if place.quick else MOVIES:
        for interval, path in zip(
            intervals, write_movies(place.folder, size, intervals), strict=True
        ):
            yield pictures(place, path, interval)


def sound(place: Place, suffix: str) -> Contest:
    path = str(write_sound(place.folder / f"a.{suffix}", seconds=10))
    bare = BARE.get(suffix, "soundfile and soxr")
    peers = {bare: "plain", "librosa.load": "plain"}
    if suffix != "mp4":
        peers["tensorflow-io, by mmat"] = "tensorflow"  # it reads no sound of containers
    runs = {"mmat": place.ours().run("benchmarks.ours.readers:sound", path=path)}
    for name, worker in peers.items():
        run = place.worker(worker).run
        runs[name] = run("benchmarks.peers.plain_readers:sound", path=path, reader=name)
    floor = place.rates.floor_seconds(n_bytes=10 * 4 * (2 * 44_100 + 16_000))
    pairs = [Pair("mmat", x, SOUND_AIM if x == bare else None, floor_seconds=floor) for x in peers]
    return Contest(f"decoding 10 s of {suffix}", runs, pairs, rounds=15)


def pictures(place: Place, path, interval: int) -> Contest:
    path, every, sought = str(path), "every picture, PyAV", "OpenCV, sought"
    runs = {"mmat": place.ours().run("benchmarks.ours.readers:pictures", path=path)}
    for name in (every, sought):
        run = place.worker("plain").run
        runs[name] = run("benchmarks.peers.plain_readers:pictures", path=path, reader=name)
    floor = place.rates.floor_seconds(n_bytes=8 * 320 * 180 * 3)
    aim = KEYFRAME_AIM if interval <= LONGEST_INTERVAL else None
    pairs = [
        Pair("mmat", every, aim, floor_seconds=floor),
        Pair("mmat", sought, floor_seconds=floor),
    ]
    title = path.rsplit("/", 1)[1].removesuffix(".mp4")
    return Contest(f"8 pictures of {title}", runs, pairs, rounds=5)
