"""The steps of the Dockerfile where there is no Docker: python -m tests.docker_steps FOLDER.

The files that the first stage's COPY names are copied into FOLDER, and its RUN lines are run there,
with FOLDER/opt in the place of /opt. A step that fails ends with its status.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def steps() -> list[tuple[str, str]]:
    """Return (instruction, its text) of the Dockerfile's first stage."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    told = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    second = [word for word, _, _ in told].index("FROM", 1)
    return [(word, text) for word, _, text in told[1:second]]


def run(folder: pathlib.Path) -> int:
    """Run the steps below a folder; return the first status that is not 0, else 0."""
    source, opt = folder / "source", str(folder / "opt")
    source.mkdir(parents=True)
    here = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": here}
    for instruction, text in steps():
        text = text.replace("/opt/", opt + "/")
        if instruction == "COPY":
            *files, place = shlex.split(text)
            for file in files:
                into = source / place
                _copy(ROOT / file, into / pathlib.Path(file).name if place.endswith("/") else into)
        elif instruction == "ENV":
            name, _, value = text.partition("=")
            environment[name] = value
        elif instruction == "RUN":
            print(f"+ {text}", flush=True)
            done = subprocess.run(["/bin/sh", "-c", text], cwd=source, env=environment)
            if done.returncode:
                return done.returncode
    return 0


def _copy(origin: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if origin.is_dir() else shutil.copy2)(origin, target)


if __name__ == "__main__":
    sys.exit(run(pathlib.Path(sys.argv[1]).resolve()))
