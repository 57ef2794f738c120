"""CMU-MOSI for those who own it: from its label file and its raw videos to a trained model.

Papers: Zadeh, Zellers, Pincus and Morency, arXiv 1606.06259 (the corpus); Li, Wang, Szurley, Metze
and Das, arXiv 1712.09680 (the system, of which the sound alone). Commands and results:

    python experiments/cmu_mosi.py --csd CMU_MOSI_Opinion_Labels.csd --media CMU_MOSI/Video/Full
    python experiments/cmu_mosi.py --csd CMU_MOSI_Opinion_Labels.csd --out mosi

The first cuts the segments out of the videos, each as long as it is, into runs/mosi/shards, and
trains on them as `experiments/train.py` does, whose options it takes. The second writes the lists
alone, mosi/list.csv and mosi/labels.csv, for `mmat lists` and `mmat prepare`.

Never run on the corpus, which cannot be had here: no duration and no score to expect but others'
(docs/cmu_mosi.md).
"""

import math
import os
import pathlib
import sys
from collections.abc import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

from experiments import train
from mmat.cli.common import Parser, exit_status, log_dropped
from mmat.files import InputError
from mmat.lists.cmu_mosi import read_csd
from mmat.lists.own import write_clip_list
from mmat.lists.read import ReadList
from mmat.shards.prepare import prepare

# The sound alone; 1284 segments of training are 80 steps (ours).
RECIPE = ["--systems", "audio", "--pooling", "mean"]
RECIPE += ["--batch-size", "16", "--steps", "80", "--checkpoints", "30"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--csd", metavar="FILE", required=True, help="the label file")
    parser.add_argument("--media", metavar="DIR", help="the raw videos: prepare them and train")
    parser.add_argument("--out", metavar="DIR", default="runs/mosi",
                        help="all results (default runs/mosi)")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="train anew, prepare what changed")
    arguments, others = parser.parse_known_args(argv)
    if arguments.media:
        fit(arguments, others)
    elif others:
        raise InputError(f"{others[0]}: unknown without --media; see `cmu_mosi.py --help`")
    else:
        write_lists(arguments.csd, arguments.out)


def fit(arguments, others: list[str]) -> None:
    """Cut the segments, and train on them as on any other clips; others: options of train.py."""
    shards = prepare_mosi(
        arguments.csd,
        arguments.media,
        arguments.out,
        clip_seconds=None,
        overwrite=arguments.again,
    )
    again = ["--again"] if arguments.again else []
    without_crnn = any(x.startswith(("--net", "--audio-encoder")) for x in others)
    mel = [] if without_crnn else ["--mel", "speech"]
    train.main(["--data", str(shards), "--out", arguments.out, *RECIPE, *mel, *again, *others])


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

    Beside it lie the lists of `write_lists`. Its splits are train, validation and test, the
    published folds. image_model: what looks at the pictures; by default nothing does, since the
    label map says nothing of them (docs/cmu_mosi.md). Other arguments: as of
    `mmat.shards.prepare.prepare`, which goes on where a run was stopped.
    Raises InputError for a file that is no such label file, and as `prepare` does.
    """
    found = write_lists(csd, out)
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
    durations = [clip.end_seconds - clip.start_seconds for clip in found.clips]
    n_longer = sum(seconds > (clip_seconds or math.inf) for seconds in durations)
    if n_longer:
        print(f"segments longer than {clip_seconds:g} s, whose rest is left out: {n_longer}")
    return folder


def write_lists(csd: str | os.PathLike, out: str | os.PathLike) -> ReadList:
    """Read the label file, and write it as OUT/list.csv and OUT/labels.csv."""
    found, out = read_csd(csd), pathlib.Path(out)
    log_dropped(found.dropped)
    out.mkdir(parents=True, exist_ok=True)
    write_clip_list(out / "list.csv", found.clips)
    found.labels.to_csv(out / "labels.csv")
    return found


if __name__ == "__main__":
    sys.exit(exit_status(main))
