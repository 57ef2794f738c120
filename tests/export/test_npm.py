"""How a pinned package of npm gets into the cache, and what is said where it does not."""

import dataclasses
import pathlib

import pytest

from mmat.export.npm import NpmPackage, fetched, unpacked
from mmat.files import InputError
from tests.export.npm_packages import integrity, put_in_cache

MEMBERS = {"package/dist/index.js": "tool.js", "package/LICENCE": "tool.LICENCE.txt"}
PACKAGE = NpmPackage("@maker/tool@1.2.3", "sha512-unknown", MEMBERS)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Makes a program `npm` of shell lines the only one that is found."""

    def npm(lines: str) -> None:
        program = tmp_path / "programs" / "npm"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n" + lines)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return npm


@pytest.fixture
def cache(tmp_path) -> pathlib.Path:
    return tmp_path / "cache"


def files_in(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_used_of_a_package_has_its_name_here(cache):
    members = {"package/README.md": b"left"} | {name: name.encode() for name in MEMBERS}
    package = put_in_cache(PACKAGE, members, cache)
    assert unpacked(package, cache) == {
        "tool.js": b"package/dist/index.js",
        "tool.LICENCE.txt": b"package/LICENCE",
    }


def test_without_npm_it_is_one_line(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match="npm, which fetches it, is not here; install npm"
    ) as error:
        fetched(PACKAGE, cache)
    assert "\n" not in str(error.value)
    assert str(cache / "npm" / "maker-tool-1.2.3.tgz") in str(error.value)


def test_an_npm_that_fails_is_one_line(npm, cache):
    npm("echo npm error code ENOTFOUND >&2\necho npm error network >&2\nexit 1\n")
    with pytest.raises(InputError, match="code ENOTFOUND npm error network; try again") as error:
        fetched(PACKAGE, cache)
    assert "\n" not in str(error.value) and files_in(cache) == []


def test_an_npm_that_leaves_nothing_is_one_line(npm, cache):
    npm("exit 0\n")
    with pytest.raises(InputError, match="as npm fetched it: cannot be read: No such file"):
        fetched(PACKAGE, cache)


def test_what_npm_leaves_is_checked_and_kept(npm, cache, tmp_path, monkeypatch):
    npm('test "$*" = "pack @maker/tool@1.2.3 --silent" && echo x > maker-tool-1.2.3.tgz')
    with pytest.raises(InputError, match="as npm fetched it: another file than expected"):
        fetched(PACKAGE, cache)
    assert files_in(cache) == []
    package = dataclasses.replace(PACKAGE, integrity=integrity(b"x\n"))
    path = fetched(package, cache)
    assert path.read_bytes() == b"x\n"
    npm_was = path.stat().st_mtime_ns
    monkeypatch.setenv("PATH", str(tmp_path))  # not asked again
    assert fetched(package, cache).stat().st_mtime_ns == npm_was


def test_another_file_in_the_cache_is_one_line(cache):
    package = put_in_cache(PACKAGE, {name: b"x" for name in MEMBERS}, cache)
    path = cache / "npm" / package.file
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="another file than expected: .*remove it") as error:
        unpacked(package, cache)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_package_without_its_parts_is_one_line(cache):
    package = put_in_cache(PACKAGE, {"package/LICENCE": b"x"}, cache)
    with pytest.raises(InputError, match=r"maker-tool-1\.2\.3\.tgz: without tool\.js; remove it"):
        unpacked(package, cache)


def test_what_is_no_tarball_is_one_line(cache):
    put_in_cache(PACKAGE, {}, cache)
    path = cache / "npm" / PACKAGE.file
    path.write_bytes(b"no tarball")
    package = dataclasses.replace(PACKAGE, integrity=integrity(b"no tarball"))
    with pytest.raises(InputError, match="an npm package") as error:
        unpacked(package, cache)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
