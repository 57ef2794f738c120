"""Download Debian packages without root, and without a change to the machine's own apt.

`apt-get` runs with state and cache folders of its own, over the machine's package sources, one file
at a time, the distribution's own first, until every package is found. A source that fails does no
harm, and one that is not needed is not contacted. apt checks signatures and checksums.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from mmat.files import InputError

# The release that has all the packages of our lists. Packages that the machine's own release has
# dropped are searched for here, on the same mirror.
RELEASE = "bookworm"
CONFIGURATION = """\
// Hooks would run programs of the machine.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
// Of all indexes, only those of the packages: no translations, no icons, no lists of contents.
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
  flatMetaKey "Packages";
  ShortDescription "Packages";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
};
Acquire::Retries "2";
APT::Sandbox::User "";
"""


def find_package(name: str, folder: str | os.PathLike) -> pathlib.Path | None:
    """Return the file `NAME_VERSION_ARCHITECTURE.deb` of a package in `folder`, or None.

    >>> find_package("openttd-opensfx", "no/such/folder") is None
    True
    """
    return max(pathlib.Path(folder).glob(f"{name}_*.deb"), default=None)


def download_packages(
    names: Iterable[str], folder: str | os.PathLike, dry_run: bool = False, progress: bool = True
) -> dict[str, pathlib.Path]:
    """Download the packages that `folder` lacks; return name → file of all that are there then.

    With `dry_run` only print what would be downloaded: nothing is written, apt is not run. Raises
    `InputError` without apt-get, or where no source of the machine has a package; what was found
    until then stays, so a second call goes on from there.

    >>> download_packages(["openttd-opensfx"], "debs", dry_run=True)
    would download the package openttd-opensfx into debs
    {}
    """
    folder = pathlib.Path(folder)
    names = list(dict.fromkeys(names))
    missing = [name for name in names if find_package(name, folder) is None]
    if dry_run:
        for name in missing:
            print(f"would download the package {name} into {folder}")
    elif missing:
        _download(missing, folder, progress)
    found = {name: find_package(name, folder) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def _download(missing: list[str], folder: pathlib.Path, progress: bool) -> None:
    remedy = f"put their .deb files into {folder}"
    if shutil.which("apt-get") is None:
        raise InputError(f"packages {', '.join(missing)}: no apt-get here; {remedy}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workplace = tempfile.TemporaryDirectory(prefix=".apt-", dir=folder.resolve())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; choose another folder") from error
    complaints: list[str] = []
    with workplace as path:
        apt = _Apt(pathlib.Path(path))
        for source in apt.sources():
            if progress:
                print(f"asking {source.name} for {', '.join(missing)}", file=sys.stderr)
            errors = apt.fetch(source, missing, folder, progress)
            if source.parent != apt.older_folder:  # a guess, whose errors say nothing to the user
                complaints += errors
            missing = [name for name in missing if find_package(name, folder) is None]
            if not missing:
                return
    why = complaints[0].rstrip(".") if complaints else "no source of this machine has them"
    raise InputError(
        f"packages {', '.join(missing)}: apt-get cannot get them: {why}; get them elsewhere and "
        f"{remedy}"
    )


class _Apt:
    """`apt-get` with everything that it writes under `workplace`, an absolute path."""

    def __init__(self, workplace: pathlib.Path):
        self.workplace = workplace
        self.download_folder = workplace / "download"
        self.older_folder = workplace / "older"
        for part in ("state/lists/partial", "cache/archives/partial", "download", "older"):
            (workplace / part).mkdir(parents=True)
        (workplace / "status").touch()  # as if no package were installed
        (workplace / "apt.conf").write_text(CONFIGURATION)

    def sources(self) -> Iterator[pathlib.Path]:
        """Yield the machine's source files, the distribution's first; then for `RELEASE`."""
        keys = ["MAIN", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
        done = subprocess.run(["apt-config", "shell", *keys], capture_output=True, text=True)
        place = dict(item.split("=", 1) for item in shlex.split(done.stdout))
        own, others = [pathlib.Path(place.get("MAIN", "/nowhere"))], []
        for path in sorted(pathlib.Path(place.get("PARTS", "/nowhere")).glob("*")):
            if path.suffix in (".list", ".sources"):
                (own if path.stem in ("debian", "ubuntu") else others).append(path)
        files = [path for path in own + others if os.access(path, os.R_OK) and path.is_file()]
        yield from files
        for path in files:
            text = path.read_text(errors="replace")
            older = re.sub(r"(?im)^Suites:.*$", f"Suites: {RELEASE}", text)
            older = re.sub(r"(?m)^(deb\s+(?:\[.*?\]\s+)?\S+\s+)\S+", rf"\g<1>{RELEASE}", older)
            if older != text:
                (self.older_folder / path.name).write_text(older)
                yield self.older_folder / path.name

    def fetch(
        self, source: pathlib.Path, names: list[str], folder: pathlib.Path, progress: bool
    ) -> list[str]:
        """Move those of the packages that `source` has into `folder`; return the complaints."""
        complaints = _complaints(self._run(source, "update"))
        offers = self._run(source, "download", "--print-uris", *names)
        n_bytes = {
            file.split("_")[0]: int(size)
            for file, size in re.findall(r"(?m)^'.+?' (\S+) (\d+)", offers)
        }
        shown = progress and bool(n_bytes)
        with tqdm(total=sum(n_bytes.values()), unit="B", unit_scale=True, disable=not shown) as bar:
            for name in n_bytes:
                bar.set_description(name)
                complaints += _complaints(self._download_one(source, name, bar))
                for path in self.download_folder.glob("*.deb"):
                    os.replace(path, folder / path.name)
        return complaints

    def _download_one(self, source: pathlib.Path, name: str, bar: tqdm) -> str:
        """Download one package, moving the bar on as its file grows; return what apt printed."""
        shutil.rmtree(self.download_folder)
        self.download_folder.mkdir()
        before = bar.n
        with (
            tempfile.TemporaryFile("w+") as log,
            subprocess.Popen(
                self._command(source, "download", name), cwd=self.download_folder, stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, env=_environment(),
            ) as process,
        ):  # fmt: skip
            status = None
            while status is None:
                try:
                    status = process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    self._show(bar, before)
            self._show(bar, before)
            if status != 0:  # the files there are not to be trusted
                shutil.rmtree(self.download_folder)
            log.seek(0)
            return log.read()

    def _show(self, bar: tqdm, before: int) -> None:
        sizes = [entry.stat().st_size for entry in os.scandir(self.download_folder)]
        bar.update(max(0, before + sum(sizes) - bar.n))

    def _run(self, source: pathlib.Path, *arguments: str) -> str:
        """Return what apt printed; whether it failed shows in what is there afterwards."""
        command = self._command(source, *arguments)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL, env=_environment(), errors="replace",
        )  # fmt: skip
        return done.stdout

    def _command(self, source: pathlib.Path, *arguments: str) -> list[str]:
        places = {
            "Dir::State": self.workplace / "state",
            "Dir::State::lists": self.workplace / "state/lists",
            "Dir::State::status": self.workplace / "status",
            "Dir::Cache": self.workplace / "cache",
            "Dir::Etc::sourcelist": source,
            "Dir::Etc::sourceparts": "/dev/null",
        }
        options = [f"-o{key}={value}" for key, value in places.items()]
        return ["apt-get", "-q", "-c", str(self.workplace / "apt.conf"), *options, *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _complaints(output: str) -> list[str]:
    """Return apt's errors, and its warnings that a file did not come."""
    lines = re.findall(r"(?m)^(?:E: |W: (?=Failed to fetch))(.+)$", output)
    return [line.strip() for line in lines if not line.startswith("Unable to locate package")]
