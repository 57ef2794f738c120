"""The folder of the page in the browser, what is refused, and how ONNX Runtime Web gets there."""

import base64
import hashlib
import io
import json
import pathlib
import re
import tarfile

import pytest

from mmat.cli import main
from mmat.export import web
from mmat.export.web import PAGE_FILES, VENDORED, export_web, fetch_runtime
from mmat.files import InputError
from mmat.models.bundle import load_bundle

pytest_plugins = ["tests.export.tiny"]


def tarball(members: dict[str, bytes]) -> bytes:
    """Return what npm's packages are: a gzipped tar archive."""
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return file.getvalue()


def integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """Puts a package of these members into an own cache as if it were the pinned one."""

    def packed(members: dict[str, bytes]) -> pathlib.Path:
        content = tarball(members)
        monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(web, "INTEGRITY", integrity(content))
        path = tmp_path / "cache" / "npm" / "onnxruntime-web-1.30.0.tgz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return path

    return packed


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


def files_of(folder: pathlib.Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_the_page_the_model_and_what_runs_it(bundles, packed, tmp_path):
    packed({"package/README.md": b"x"} | {name: name.encode() for name in VENDORED})
    bundle = load_bundle(bundles["audio"])
    earlier = tmp_path / "page"
    earlier.mkdir()
    for name in ("index.html", "facts.json", "model.onnx", "of an earlier version.js"):
        (earlier / name).write_text("{}")
    folder = export_web(bundle, earlier)
    runtime = {f"onnxruntime/{name}" for name in (*VENDORED.values(), "LICENSE.txt")}
    assert files_of(folder) == {*PAGE_FILES, "model.onnx", "facts.json", "README.md"} | runtime
    for member, name in VENDORED.items():
        assert (folder / "onnxruntime" / name).read_text() == member
    assert "Copyright (c) Microsoft" in (folder / "onnxruntime" / "LICENSE.txt").read_text()
    facts = json.loads((folder / "facts.json").read_text())
    assert facts["labels"] == list(bundle.labels.names) and facts["frame_hz"] == 10
    assert "ONNX file" in (folder / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_other_facts_is_left_alone(bundles, packed, tmp_path):
    packed({name: b"x" for name in VENDORED})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "facts.json").write_text("{}")
    with pytest.raises(InputError, match="mine: holds something other than a page"):
        export_web(load_bundle(bundles["audio"]), tmp_path / "mine")
    assert files_of(tmp_path / "mine") == {"facts.json"}


def page_texts() -> dict[str, str]:
    folder = pathlib.Path(web.__file__).parent / "web_page"
    return {name: (folder / name).read_text() for name in PAGE_FILES}


def test_the_page_names_no_address_and_no_file_that_is_not_there():
    texts = page_texts()
    namespace = "http://www.w3.org/2000/svg"
    for text in texts.values():
        assert "//" not in re.sub(r"/\*.*?\*/|// .*", "", text, flags=re.S).replace(namespace, "")
    html = texts["index.html"]
    named = set(re.findall(r'(?:src|href)="([^"]+)"', html))
    named |= set(re.findall(r'(?:from|addModule\()\s*"([^"]+)"', "".join(texts.values())))
    there = {*PAGE_FILES, "onnxruntime/ort.wasm.bundle.min.js"}
    assert {name.removeprefix("./") for name in named} == there - {"index.html"}


def test_the_page_allows_itself_its_own_files_alone():
    html = page_texts()["index.html"]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'" and "unsafe-inline" not in policy
    assert "<style" not in html and not re.search(r"<script(?![^>]*src=)| on\w+=| style=", html)


def test_without_npm_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match="npm, which fetches it, is not here; install npm"
    ) as error:
        fetch_runtime(tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert str(tmp_path / "cache" / "npm" / "onnxruntime-web-1.30.0.tgz") in str(error.value)


def test_an_npm_that_fails_is_one_line(npm, tmp_path):
    npm("echo npm error code ENOTFOUND >&2\necho npm error network >&2\nexit 1\n")
    with pytest.raises(InputError, match="code ENOTFOUND npm error network; try again") as error:
        fetch_runtime(tmp_path / "cache")
    assert "\n" not in str(error.value) and files_of(tmp_path / "cache") == set()


def test_an_npm_that_leaves_nothing_is_one_line(npm, tmp_path):
    npm("exit 0\n")
    with pytest.raises(InputError, match="as npm fetched it: cannot be read: No such file"):
        fetch_runtime(tmp_path / "cache")


def test_what_npm_leaves_is_checked_and_kept(npm, tmp_path, monkeypatch):
    npm('test "$*" = "pack onnxruntime-web@1.30.0 --silent" && echo x > onnxruntime-web-1.30.0.tgz')
    with pytest.raises(InputError, match="as npm fetched it: another file than expected"):
        fetch_runtime(tmp_path / "cache")
    assert files_of(tmp_path / "cache") == set()
    monkeypatch.setattr(web, "INTEGRITY", integrity(b"x\n"))
    path = fetch_runtime(tmp_path / "cache")
    assert path.read_bytes() == b"x\n"
    npm_was = path.stat().st_mtime_ns
    monkeypatch.setenv("PATH", str(tmp_path))  # not asked again
    assert fetch_runtime(tmp_path / "cache").stat().st_mtime_ns == npm_was


def test_another_file_in_the_cache_is_one_line(packed, tmp_path):
    path = packed({"package/README.md": b"x"})
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="another file than expected: .*remove it") as error:
        fetch_runtime()
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_package_without_its_parts_is_one_line(bundles, packed, tmp_path):
    packed({"package/README.md": b"x"})
    with pytest.raises(InputError, match=r"without ort\.wasm\.bundle\.min\.js"):
        export_web(load_bundle(bundles["audio"]), tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_model_of_pictures_alone_is_one_line(bundles, packed, tmp_path, capsys):
    packed({name: b"x" for name in VENDORED})
    argv = ["export", str(bundles["video"]), "--format", "web", "--out", str(tmp_path / "page")]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/page/model.onnx: this model hears nothing" in said and said.count("\n") == 1
    assert not (tmp_path / "page").exists()
