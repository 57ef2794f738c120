"""CMU-MOSI for those who own it: from its label file and its raw videos to shards.

    python experiments/mosi.py --csd CMU_MOSI_Opinion_Labels.csd --out mosi

writes mosi/list.csv and mosi/labels.csv, for `mmat lists` and `mmat prepare`; with --media
CMU_MOSI/Video/Full also mosi/shards. `experiments/sentiment.py` prepares the same itself.
Never run on the corpus, which cannot be had here: docs/cmu_mosi.md.
"""

import math
import os
import pathlib
import sys
from collections.abc import Sequence

import options

from mmat.cli.common import Parser, log_dropped
from mmat.lists.cmu_mosi import read_csd
from mmat.lists.own import write_clip_list
from mmat.lists.read import ReadList
from mmat.shards.prepare import prepare


def prepare_mosi(
    csd: str | os.PathLike,
    media: str | os.PathLike,
    out: str | os.PathLike,
    image_model: str | None = None,
    clip_seconds: float | None = 10.0,
    n_frames: int = 8,
    workers: int = 2,
    overwrite: bool = False,
    progress: bool = True,
) -> pathlib.Path:
    """Cut the segments of the label file out of the videos and return OUT/shards.

    Beside it lie the lists of `listed`. Its splits are train, validation and test, the published
    folds. image_model: what looks at the pictures; default nothing does, since the label map says
    nothing of them (docs/cmu_mosi.md). Other arguments: as of `mmat.shards.prepare.prepare`, which
    goes on where a run was stopped.
    Raises InputError for a file that is no such label file, and as `prepare` does.
    """
    found = listed(csd, out)
    folder = pathlib.Path(out, "shards")
    index = prepare(
        found.clips,
        media,
        folder,
        found.labels,
        image_network=image_model,
        n_frames=n_frames,
        clip_seconds=clip_seconds,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )
    counts = ", ".join(f"{name} {split['clips']}" for name, split in index["splits"].items())
    print(f"{folder}: {counts}; {index['failures']} segments cannot be used")
    lasting = [clip.end_seconds - clip.start_seconds for clip in found.clips]
    n_longer = sum(seconds > (clip_seconds or math.inf) for seconds in lasting)
    if n_longer:
        print(f"segments longer than {clip_seconds:g} s, whose rest is left out: {n_longer}")
    return folder


def listed(csd: str | os.PathLike, out: str | os.PathLike) -> ReadList:
    """Read the label file, and write it as OUT/list.csv and OUT/labels.csv."""
    found, out = read_csd(csd), pathlib.Path(out)
    log_dropped(found.dropped)
    out.mkdir(parents=True, exist_ok=True)
    write_clip_list(out / "list.csv", found.clips)
    found.labels.to_csv(out / "labels.csv")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--csd", metavar="FILE", required=True, help="the label file")
    parser.add_argument("--media", metavar="DIR", help="the raw videos: prepare shards too")
    parser.add_argument("--out", metavar="DIR", required=True)
    arguments = parser.parse_args(argv)
    if arguments.media:
        prepare_mosi(arguments.csd, arguments.media, arguments.out)
    else:
        listed(arguments.csd, arguments.out)


if __name__ == "__main__":
    sys.exit(options.run(main))
