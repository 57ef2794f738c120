"""A clip of a fire engine: a recording of its siren and a photograph, both from Tux Paint's stamps.

Neither is in the mini corpus; the package that holds them is fetched with it.
"""

import pathlib

import numpy as np
import PIL.Image
import soundfile

from mmat.corpora.debian import download_packages
from mmat.corpora.sources import extract_sources, read_sources
from mmat.files import cache_folder
from tests.media.made_media import write_media_file

SOURCES = pathlib.Path(__file__).with_name("sources.csv")
NAME = "fire engine.mp4"
SIZE = (480, 360)
SKY = (150, 180, 210)
FPS = 10


def write_clip(folder: pathlib.Path) -> pathlib.Path:
    """Write the clip of ten seconds into a folder, and return its path."""
    debs, sources = cache_folder() / "mini" / "debs", read_sources(SOURCES)
    download_packages([source.package for source in sources], debs)
    recording, photograph = extract_sources(sources, debs, folder, progress=False)
    sound, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    picture, seconds = _on_sky(photograph), len(sound) / rate
    return write_media_file(
        folder / NAME,
        sound=sound,
        rate=rate,
        n_pictures=int(seconds * FPS),
        fps=FPS,
        size=SIZE,
        picture=lambda _: picture,
    )


def _on_sky(photograph: pathlib.Path) -> np.ndarray:
    """Return the photograph, which was cut out, on a plain ground, uint8 (height, width, 3)."""
    with PIL.Image.open(photograph) as image:
        cut_out = image.convert("RGBA")
    height = round(SIZE[0] * cut_out.height / cut_out.width)
    cut_out = cut_out.resize((SIZE[0], height))
    ground = PIL.Image.new("RGBA", SIZE, SKY)
    ground.alpha_composite(cut_out, (0, (SIZE[1] - height) // 2))
    return np.asarray(ground.convert("RGB"))
