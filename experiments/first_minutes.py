"""README as a new user runs it: its commands and its Python, as they are written, one by one.

    python experiments/first_minutes.py                 about five minutes on 2 cores
    python experiments/first_minutes.py --folder DIR    the same in DIR, which stays

The folder is empty and outside the clone. Into it comes what README takes for given: a clip, a
folder of recordings by label, a list with its clips (of the corpora `mini` and `sounds`, in the
cache), `experiments/`, and `runs/mini/export`, which `make demo` would leave. Programs are those of
the environment that runs this script, without what it may have set to quiet TensorFlow. An example
holds where it ends with status 0 and says on standard error nothing but lines of mmat's own, none
twice. What is left out is printed with the reason. The exit status is 1 if an example failed.
"""

import argparse
import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found

import tabulate

import mmat
from experiments.mini import prepare_shards
from mmat.cli.common import exit_status
from mmat.corpora.mini import fetch_and_compose, mini_labels
from mmat.corpora.sounds import fetch_sounds, read_sounds
from mmat.export.savedmodel import export_saved_model
from mmat.files import InputError
from mmat.startup import ENVIRONMENT
from mmat.training.learn import learn

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON, COMMAND = "python", "command"
PROGRAMS = ("mmat", "python", "make", "pip")
LEFT_OUT = {
    "make": "of the clone; it makes an environment, and takes more than five minutes",
    "pip": "it installs from a clone or an address; what runs here is installed",
}
CLIPS_A_SPLIT = {"train": 24, "validation": 12, "test": 12}
RECORDINGS_A_LABEL = 4
SHOWN_LINES = 20  # of what a failed example said
_EXAMPLES = re.compile(
    r"^```python\n(?P<python>.*?)^```"
    r"|^    (?P<block>(?:" + "|".join(PROGRAMS) + r") [^\n]*)"
    r"|`(?P<inline>mmat \w+ [^`]+)`",
    re.MULTILINE | re.DOTALL,
)


class Example(NamedTuple):
    """A command of a page, or a snippet of Python; line: where it stands, from 1."""

    line: int
    kind: str
    text: str

    def why_left_out(self) -> str:
        """The reason why a command is not run, empty if it is."""
        return LEFT_OUT.get(self.text.split()[0], "") if self.kind == COMMAND else ""


class Ran(NamedTuple):
    """What came of an example."""

    status: int
    output: str
    errors: str
    seconds: float


def read_examples(text: str) -> Iterator[Example]:
    """Yield a page's examples in their order: blocks, and commands with a word more in sentences.

    >>> page = "Say:\\n\\n    mmat tag a.wav  # any\\n\\n`mmat labels woof`, and not `mmat tag`.\\n"
    >>> [each.text for each in read_examples(page)]
    ['mmat tag a.wav  # any', 'mmat labels woof']
    """
    for found in _EXAMPLES.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        kind = PYTHON if found["python"] else COMMAND
        yield Example(line, kind, found["python"] or found["block"] or found["inline"])


def user_environment() -> dict[str, str]:
    """Return a user's environment: this Python's programs first, nothing that quiets TensorFlow."""
    unset = {*ENVIRONMENT, "PYTHONPATH"}
    own = {name: value for name, value in os.environ.items() if name not in unset}
    programs = pathlib.Path(sys.executable).parent
    return own | {"PATH": f"{programs}{os.pathsep}{own.get('PATH', os.defpath)}"}


def run_example(example: Example, folder: pathlib.Path) -> Ran:
    """Run an example in a folder: a command by the shell, Python as a file of its own."""
    words = example.text
    if example.kind == PYTHON:
        (folder / "example.py").write_text(example.text, encoding="utf-8")
        words = "python example.py"
    began = time.perf_counter()
    done = subprocess.run(
        ["sh", "-c", words], cwd=folder, env=user_environment(), capture_output=True, text=True
    )
    return Ran(done.returncode, done.stdout, done.stderr, time.perf_counter() - began)


def unwanted_lines(errors: str) -> list[str]:
    """Return which lines on standard error are not mmat's own, or say again what was said.

    >>> unwanted_lines("mmat: warning: a\\nmmat: warning: b\\nmmat: warning: a\\nUserWarning: c\\n")
    ['mmat: warning: a', 'UserWarning: c']
    """
    counts = Counter(line for line in errors.splitlines() if line.strip())
    return [line for line, n in counts.items() if n > 1 or not line.startswith("mmat: ")]


def lay_out(folder: pathlib.Path) -> None:
    """Put into an empty folder what README takes for given."""
    clips = fetch_and_compose(progress=False)
    with open(clips / "clips.csv", newline="", encoding="utf-8") as file:
        every = list(csv.DictReader(file))
    rows = [
        row
        for split, n_clips in CLIPS_A_SPLIT.items()
        for row in [row for row in every if row["split"] == split][:n_clips]
    ]
    with open(folder / "list.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "clips").symlink_to(clips)
    shutil.copy(clips / rows[-1]["file"], folder / "clip.mp4")
    taken, sounds = Counter(), fetch_sounds(progress=False)
    for recording in read_sounds():
        (label,) = recording.labels
        taken[label] += 1
        if taken[label] <= RECORDINGS_A_LABEL:
            (folder / "sounds" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(sounds / recording.file, folder / "sounds" / label)
    (folder / "experiments").symlink_to(ROOT / "experiments")
    learnt = learn(mmat.open_corpus(prepare_shards(mini_labels())))
    export_saved_model(learnt.bundle, folder / "runs" / "mini" / "export")


def run_readme(folder: pathlib.Path) -> list[list]:
    """Run README's examples; return of each its line, text, seconds, and how it went."""
    rows = []
    for example in read_examples((ROOT / "README.md").read_text(encoding="utf-8")):
        first = example.text.splitlines()[0 if example.kind == COMMAND else -1]
        if why := example.why_left_out():
            rows.append([example.line, first, None, f"left out: {why}"])
            continue
        print(f"README.md, line {example.line}: {first}", flush=True)
        ran = run_example(example, folder)
        unwanted = unwanted_lines(ran.errors)
        went = "ran" if ran.status == 0 else f"failed: status {ran.status}"
        if ran.status == 0 and unwanted:
            went = f"failed: said {unwanted[0]!r}"
        rows.append([example.line, first, ran.seconds, went])
        if went != "ran":
            lines = [*ran.output.splitlines(), *ran.errors.splitlines()]
            print("\n".join(lines[-SHOWN_LINES:]), flush=True)
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="an empty one (default: one that is removed at the end)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(arguments.folder or made)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder}: not empty; name an empty folder, or none")
        lay_out(folder)
        rows = run_readme(folder)
    print("\n" + tabulate.tabulate(rows, ["line", "README's", "s", ""], floatfmt=".0f"))
    return int(any(row[-1].startswith("failed") for row in rows))


if __name__ == "__main__":
    sys.exit(exit_status(main))
