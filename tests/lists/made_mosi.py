"""A made CMU-MOSI: a label file in the SDK's form, and videos of which every second is known."""

import json
import pathlib

import h5py
import numpy as np

from tests.media.made_media import make_sine, write_media_file
from tests.media.sounds import beep_at

RATE_HZ, FPS, SECONDS = 16_000, 10, 6.0
GREYS_A_PICTURE = 4
ROOT = "Opinion Segment Labels"
# Of each video its sentiments, its intervals, and when its beep of a second begins.
VIDEOS = {
    "2iD-tVS8NPw": ([-1.4, 0.0, 3.0], [(0.5, 2.5), (2.51, 4.7503), (5.0, 5.9)], 3.0),
    "_dI--eQ6qVU": ([-3.0, 1.75], [(0.0, 1.0001), (1.0001, 3.33)], 1.5),
    "tmZoasNr4rU": ([2.2], [(2.25, 5.75)], 4.0),
}
SPLITS = {"2iD-tVS8NPw": "train", "_dI--eQ6qVU": "validation", "tmZoasNr4rU": "test"}


def write_csd(path: pathlib.Path, videos: dict, root: str = ROOT) -> pathlib.Path:
    """Write a label file as the SDK does; videos: name -> (sentiments, intervals, …)."""
    with h5py.File(path, "w") as file:
        for video, (sentiments, intervals, *_) in videos.items():
            group = file.create_group(f"{root}/data/{video}")
            features = np.float32(sentiments).reshape(-1, 1)
            group.create_dataset("features", data=features, compression="gzip")
            times = np.float64(intervals).reshape(-1, 2)
            group.create_dataset("intervals", data=times, compression="gzip")
        metadata = file.create_group(f"{root}/metadata")
        for key, value in {"root name": root, "dataset name": "CMU-MOSI", "md5": None}.items():
            text = metadata.create_dataset(key, (1,), dtype=h5py.string_dtype())
            text[0] = json.dumps(value)
    return path


def make_videos(folder: pathlib.Path) -> pathlib.Path:
    """Write the videos: silence but for the beep, and pictures that become brighter."""
    folder.mkdir()
    for video, (*_, beep_seconds) in VIDEOS.items():
        write_media_file(
            folder / f"{video}.mp4",
            sound=beep_at(beep_seconds, make_sine, SECONDS, RATE_HZ),
            rate=RATE_HZ,
            n_pictures=round(SECONDS * FPS),
            fps=FPS,
            picture=lambda i: np.full((48, 64, 3), GREYS_A_PICTURE * i, np.uint8),
        )
    return folder


def picture_seconds(grey: np.ndarray) -> np.ndarray:
    """Return when a picture of the made videos is shown, by its grey."""
    return grey / GREYS_A_PICTURE / FPS
