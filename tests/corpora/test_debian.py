import hashlib
import pathlib
import shutil
import subprocess

import pytest

from mmat.corpora.debian import download_packages, find_package
from mmat.corpora.package_files import iter_members
from mmat.files import InputError
from tests.corpora.archives import make_deb

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get here")


class Machine:
    """An apt configuration with one repository on disk, chosen by the environment."""

    def __init__(self, root: pathlib.Path):
        self.repository = root / "repository"
        self.parts = root / "sources.list.d"
        self.parts.mkdir(parents=True)
        (root / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{root}/sources.list";\nDir::Etc::sourceparts "{self.parts}";\n'
        )
        self.environment = {"APT_CONFIG": str(root / "apt.conf")}

    def add_packages(self, suite: str, names: list[str]) -> None:
        packages = ""
        for name in names:
            path = f"pool/{name}_1_all.deb"
            content = make_deb({f"usr/share/{name}.txt": name.encode()})
            _write(self.repository / path, content)
            packages += (
                f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\n"
                f"Filename: {path}\nSize: {len(content)}\nSHA256: {_sha256(content)}\n\n"
            )
        architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
        index = f"main/binary-{architecture}/Packages"
        _write(self.repository / "dists" / suite / index, packages.encode())
        _write(
            self.repository / "dists" / suite / "Release",
            f"Suite: {suite}\nCodename: {suite}\nArchitectures: {architecture}\nComponents: main\n"
            f"Date: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n"
            f" {_sha256(packages.encode())} {len(packages)} {index}\n".encode(),
        )

    def add_source(self, file: str, suite: str, trusted: bool = True) -> None:
        option = "[trusted=yes] " if trusted else ""
        (self.parts / file).write_text(f"deb {option}file:{self.repository} {suite} main\n")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path / "machine")
    for key, value in machine.environment.items():
        monkeypatch.setenv(key, value)
    return machine


def _write(path: pathlib.Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@needs_apt
def test_packages_come_whole_and_nothing_else_stays(machine, tmp_path, capfd):
    machine.add_packages("stable", ["dog-sounds", "cow-sounds"])
    machine.add_source("debian.list", "stable")
    folder = tmp_path / "debs with space"
    found = download_packages(["dog-sounds", "cow-sounds"], folder)
    assert found == {
        "dog-sounds": folder / "dog-sounds_1_all.deb",
        "cow-sounds": folder / "cow-sounds_1_all.deb",
    }
    assert sorted(folder.iterdir()) == sorted(found.values())
    content = dict(iter_members(found["dog-sounds"], ["usr/share/dog-sounds.txt"]))
    assert content == {"usr/share/dog-sounds.txt": b"dog-sounds"}
    assert "asking debian.list for dog-sounds, cow-sounds" in capfd.readouterr().err


@needs_apt
def test_what_is_there_is_not_downloaded_again(machine, tmp_path):
    machine.add_packages("stable", ["dog-sounds", "cow-sounds"])
    machine.add_source("debian.list", "stable")
    (tmp_path / "dog-sounds_0_all.deb").write_bytes(b"mine")
    found = download_packages(["dog-sounds", "cow-sounds"], tmp_path, progress=False)
    assert found["dog-sounds"].read_bytes() == b"mine"
    assert not (tmp_path / "dog-sounds_1_all.deb").exists()
    machine.add_source("debian.list", "gone")
    assert download_packages(["dog-sounds", "cow-sounds"], tmp_path, progress=False) == found


@needs_apt
@pytest.mark.parametrize(
    "broken",
    [
        "this is no source line\n",
        "deb file:/no/such/place stable main\n",
        "deb http://127.0.0.1:9/nobody listens main\n",
        "deb [signed-by=/no/such/key.gpg] file:{repository} stable main\n",
    ],
)
def test_a_source_that_fails_stops_nothing(machine, tmp_path, broken, capfd):
    machine.add_packages("stable", ["dog-sounds"])
    machine.add_source("good.list", "stable")
    (machine.parts / "debian.list").write_text(broken.format(repository=machine.repository))
    found = download_packages(["dog-sounds"], tmp_path / "debs")
    assert found["dog-sounds"].is_file()
    assert capfd.readouterr().err.index("debian.list") >= 0  # it was asked, and first


@needs_apt
def test_a_source_that_is_not_needed_is_not_asked(machine, tmp_path, capfd):
    machine.add_packages("stable", ["dog-sounds"])
    machine.add_source("debian.list", "stable")
    machine.add_source("a-vendor.list", "stable")
    download_packages(["dog-sounds"], tmp_path / "debs")
    assert "a-vendor" not in capfd.readouterr().err


@needs_apt
@pytest.mark.parametrize("style", ["list", "sources"])
def test_a_package_of_the_older_release_is_found(machine, tmp_path, style):
    machine.add_packages("newer", ["dog-sounds"])
    machine.add_packages("bookworm", ["scratch"])
    machine.add_source("debian.list", "newer")
    if style == "sources":
        (machine.parts / "debian.list").unlink()
        (machine.parts / "debian.sources").write_text(
            f"Types: deb\nURIs: file:{machine.repository}\nSuites: newer newer-updates\n"
            "Components: main\nTrusted: yes\n"
        )
    found = download_packages(["dog-sounds", "scratch"], tmp_path / "debs", progress=False)
    assert set(found) == {"dog-sounds", "scratch"}


@needs_apt
def test_a_package_that_no_source_has_is_named_and_the_others_stay(machine, tmp_path):
    machine.add_packages("stable", ["dog-sounds"])
    machine.add_source("debian.list", "stable")
    folder = tmp_path / "debs"
    with pytest.raises(InputError) as raised:
        download_packages(["dog-sounds", "unicorn-sounds"], folder, progress=False)
    message = str(raised.value)
    assert "unicorn-sounds" in message and "dog-sounds" not in message.replace("unicorn", "")
    assert "no source of this machine has them" in message
    assert f"put their .deb files into {folder}" in message and "\n" not in message
    assert [path.name for path in folder.iterdir()] == ["dog-sounds_1_all.deb"]


@needs_apt
@pytest.mark.parametrize("damage", ["changed", "cut", "untrusted"])
def test_what_apt_does_not_trust_is_not_kept(machine, tmp_path, damage):
    machine.add_packages("stable", ["dog-sounds"])
    machine.add_source("debian.list", "stable", trusted=damage != "untrusted")
    pool_file = machine.repository / "pool/dog-sounds_1_all.deb"
    content = pool_file.read_bytes()
    if damage != "untrusted":
        pool_file.write_bytes(content[:-9] + (b"x" * 9 if damage == "changed" else b""))
    with pytest.raises(InputError, match="packages dog-sounds: apt-get cannot get them"):
        download_packages(["dog-sounds"], tmp_path / "debs", progress=False)
    assert list((tmp_path / "debs").iterdir()) == []


def test_without_apt_the_packages_and_the_folder_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as raised:
        download_packages(["dog-sounds", "scratch"], tmp_path / "debs")
    assert str(raised.value) == (
        "packages dog-sounds, scratch: no apt-get here; "
        f"put their .deb files into {tmp_path / 'debs'}"
    )
    assert not (tmp_path / "debs").exists()


def test_packages_put_there_by_hand_need_no_apt(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    (tmp_path / "scratch_1_all.deb").write_bytes(make_deb({}))
    found = download_packages(["scratch"], tmp_path)
    assert found == {"scratch": tmp_path / "scratch_1_all.deb"}


def test_dry_run_writes_nothing_and_asks_nobody(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "scratch_1_all.deb").write_bytes(b"")
    found = download_packages(["scratch", "dog-sounds"], tmp_path, dry_run=True)
    assert found == {"scratch": tmp_path / "scratch_1_all.deb"}
    assert capsys.readouterr().out == f"would download the package dog-sounds into {tmp_path}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["scratch_1_all.deb"]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/debs"):
        download_packages(["scratch"], tmp_path / "file" / "debs")


def test_a_package_is_found_by_its_whole_name(tmp_path):
    (tmp_path / "scratch-extra_1_all.deb").write_bytes(b"")
    assert find_package("scratch", tmp_path) is None
