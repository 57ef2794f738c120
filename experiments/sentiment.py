"""Speech instead of sounds: emotions of speakers who are left out in turn, or CMU-MOSI.

Paper: Li, Wang, Szurley, Metze and Das, arXiv 1712.09680, which says that its system carries over
to speech sentiment. Here the branches, the data path, training and export are those of the other
scripts; the label set's task makes the difference (mmat/labels.py). Commands and results:

    python experiments/sentiment.py                     450 recordings, about 10 minutes on 2 cores
    python experiments/sentiment.py --csd CMU_MOSI_Opinion_Labels.csd --media CMU_MOSI/Video/Full

The first fetches acted speech in three emotions and compares a ridge, the CRNN and a head on YAMNet
(docs/sentiment.md); stopped and started again it goes on. The second is for those who own CMU-MOSI
(docs/cmu_mosi.md); options that it does not know go to `experiments/train.py`.
"""

import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import options
import speech_report
import speech_systems
import train
from mosi import prepare_mosi
from speech import Speech, fetched_speech

from mmat import __version__
from mmat.cli.common import Parser, at_least
from mmat.corpora.speech_emotion import read_speech_emotion, speech_emotion_folder
from mmat.corpora.weights import fetch_models
from mmat.export.savedmodel import export_saved_model
from mmat.files import InputError, atomic_path
from mmat.models.bundle import Bundle, save_bundle

CLIP_SECONDS = 2.0  # of the windows that longer files are cut into; the longest recording is 1.6 s
# Segments as long as they are, the sound alone; 1284 segments of training are 80 steps (ours).
MOSI_RECIPE = ["--systems", "audio", "--pooling", "mean"]
MOSI_RECIPE += ["--batch-size", "16", "--steps", "80", "--checkpoints", "30"]
SYSTEMS = speech_systems.Chance, speech_systems.Ridge, speech_systems.crnn, speech_systems.head
DATA = "acted speech in three emotions: Mięsikowska and Świsulski 2020, doi 10.34808/h46c-hb44"


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="all results (default runs/sentiment, or runs/mosi)")
    parser.add_argument("--seeds", type=at_least(1), help="trainings of each network (default 1)")
    parser.add_argument("--again", action="store_true", help="train anew")
    parser.add_argument("--csd", metavar="FILE", help="CMU-MOSI's label file")
    parser.add_argument("--media", metavar="DIR", help="CMU-MOSI's raw videos")
    arguments, others = parser.parse_known_args(argv)
    if bool(arguments.csd) != bool(arguments.media):
        raise InputError("--csd and --media: CMU-MOSI needs both, its label file and its videos")
    if arguments.csd and arguments.seeds:
        raise InputError("--seeds: is about the emotions; CMU-MOSI is trained once, by --seed")
    if arguments.csd:
        return train_on_mosi(arguments, others)
    if others:
        raise InputError(f"{others[0]}: unknown without --csd; see `sentiment.py --help`")
    compare_on_emotions(arguments)


def train_on_mosi(arguments, others: list[str]) -> None:
    """Cut the segments, and train on them as on any other clips."""
    out = arguments.out or "runs/mosi"
    shards = prepare_mosi(
        arguments.csd, arguments.media, out, clip_seconds=None, overwrite=arguments.again
    )
    again = ["--again"] if arguments.again else []
    without_crnn = any(x.startswith(("--net", "--audio-encoder")) for x in others)
    mel = [] if without_crnn else ["--mel", "speech"]
    train.main(["--data", str(shards), "--out", out, *MOSI_RECIPE, *mel, *again, *others])


def compare_on_emotions(arguments) -> None:
    """Train each system once for each speaker who is left out, and tell how they compare."""
    out, n_seeds = pathlib.Path(arguments.out or "runs/sentiment"), arguments.seeds or 1
    kept = out / "folds"
    if arguments.again:
        shutil.rmtree(kept, ignore_errors=True)
    print("== recordings", flush=True)
    fetch_models()  # YAMNet
    speech = fetched_speech()
    seconds = speech.n_samples.sum() / 16000
    print(f"{len(speech.ids)} recordings, {seconds:.0f} s, {len(set(speech.speakers))} speakers")
    answers, told = {}, {}
    for make in SYSTEMS:
        system = make(speech)
        print(f"== {system.name}", flush=True)
        seeds = range(n_seeds if system.is_random else 1)
        runs = [left_out(speech, system, seed, kept) for seed in seeds]
        answers[system.name] = [scores for scores, _ in runs]
        told[system.name] = {"weights": system.n_weights, "folds": [info for _, info in runs]}
    report = speech_report.report_of(speech, answers, reference=speech_systems.Ridge.name)
    for name, own in told.items():
        report["systems"][name] |= own
    tag_who_was_left_out(speech, speech_systems.CRNN, out)
    report["settings"] = {"mmat": __version__, "seeds": n_seeds, "data": DATA}
    speech_report.write(out, report)
    print(f"\n{speech_report.as_table(report)}")
    print("\n".join(speech_report.gain_lines(report)))
    print(f"\n{out}/report.json   the figures; systems.png and tagged.png lie beside it")
    print(f"{out}/export/       the CRNN that never heard m1: mmat tag FILE --model {out}/export")


def left_out(speech: Speech, system, seed: int, kept: pathlib.Path) -> tuple[np.ndarray, dict]:
    """Return scores of all clips, each from the fold without its speaker; what was done is kept."""
    scores, told = np.zeros(speech.truth.shape, np.float32), {}
    for speaker, train_on, test in speech.folds():
        path = kept_fold(kept, system.name, speaker, seed)
        if not path.exists():
            began = time.perf_counter()
            answer = system.answer(train_on, seed)
            info = answer.told | {"seconds": time.perf_counter() - began}
            if answer.branch is not None:
                with atomic_path(path.with_suffix(".keras")) as part:
                    answer.branch.save(part)
            with atomic_path(path) as part, part.open("wb") as file:
                own = {"scores": answer.scores[test], "ids": np.array(speech.ids)[test]}
                np.savez(file, **own, about=system.about, **info)
        with np.load(path, allow_pickle=False) as fold:
            same_clips = fold["ids"].tolist() == [speech.ids[clip] for clip in test]
            if not same_clips or fold["about"] != system.about:
                raise InputError(f"{path}: of other recordings or settings; --again trains anew")
            scores[test] = fold["scores"]
            others = set(fold.files) - {"scores", "ids", "about"}
            told[speaker] = {name: float(fold[name]) for name in sorted(others)}
        print(f"{speaker} left out: {told[speaker]['seconds']:.0f} s", flush=True)
    return scores, told


def kept_fold(kept: pathlib.Path, name: str, speaker: str, seed: int) -> pathlib.Path:
    return kept / f"{name.replace(' ', '-')}-{speaker}-seed{seed}.npz"


def tag_who_was_left_out(speech: Speech, name: str, out: pathlib.Path) -> None:
    """Export the network of the first fold, and tag a recording of the speaker it never heard."""
    speaker, _, test = next(speech.folds())
    print(f"== the {name} without {speaker}, exported", flush=True)
    path = kept_fold(out / "folds", name, speaker, seed=0).with_suffix(".keras")
    branch = speech_systems.kept_branch(path)
    thresholds = np.zeros(len(speech.labels), np.float32)
    bundle = Bundle(branch, speech.labels, thresholds, clip_seconds=CLIP_SECONDS,
                    figures={"data": DATA})  # fmt: skip
    save_bundle(out / "crnn", bundle)
    export_saved_model(bundle, out / "export")
    clip = next(clip for clip in read_speech_emotion() if clip.id == speech.ids[test[0]])
    print(f"tagging {clip.file}, acted as: {', '.join(clip.labels)}", flush=True)
    command = [sys.executable, "-m", "mmat", "tag", str(speech_emotion_folder() / clip.file)]
    command += ["--model", str(out / "export"), "--plot", str(out / "tagged.png")]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    options.script(main)
