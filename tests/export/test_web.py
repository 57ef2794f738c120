"""The folder of the page in the browser, its network beside Keras, and what is refused."""

import json
import pathlib
import re

import pytest

from mmat.cli import main
from mmat.export import web
from mmat.export.interpreters import open_interpreter
from mmat.export.web import LITERT, MODEL_FILE, PAGE_FILES, WASM_UTILS, export_web, measure_web
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.bundle import Bundle, load_bundle
from mmat.models.learnt import learnt_models
from mmat.pretrained.registry import efficientnet_lite0, yamnet
from tests.export.npm_packages import put_in_cache

pytest_plugins = ["tests.export.tiny"]


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """Puts packages into a cache of this test's own as if they were the pinned ones."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("MMAT_CACHE", str(cache))
    for name in ("LITERT", "WASM_UTILS"):
        package = getattr(web, name)
        members = {member: b"/* %s */" % member.encode() for member in package.members}
        if name == "LITERT":
            members["package/dist/index.js"] = b"\n".join(web.CHANGES)
        monkeypatch.setattr(web, name, put_in_cache(package, members, cache))


def files_of(folder: pathlib.Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_the_page_the_model_and_what_runs_it(bundles, packed, tmp_path):
    bundle = load_bundle(bundles["audio"])
    earlier = tmp_path / "page"
    earlier.mkdir()
    for name in ("index.html", "facts.json", "model.onnx", "of an earlier version.js"):
        (earlier / name).write_text("{}")
    folder = export_web(bundle, earlier)
    names = {*LITERT.members.values(), *WASM_UTILS.members.values(), "LICENSE.txt"}
    runtime = {f"litert/{name}" for name in names}
    assert files_of(folder) == {*PAGE_FILES, MODEL_FILE, "facts.json", "README.md"} | runtime
    for member, name in LITERT.members.items():
        if name != "litert.js":
            assert (folder / "litert" / name).read_text() == f"/* {member} */"
    script = (folder / "litert" / "litert.js").read_bytes()
    assert script.startswith(b"/* Changed by mmat")  # as its licence asks
    for found, better in web.CHANGES.items():
        assert found not in script and better in script
    assert "Apache License" in (folder / "litert" / "LICENSE.txt").read_text()
    facts = json.loads((folder / "facts.json").read_text())
    assert facts["labels"] == list(bundle.labels.names) and facts["frame_hz"] == 10
    assert "LiteRT for web" in (folder / "README.md").read_text()
    check_network(folder, bundle)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_other_facts_is_left_alone(bundles, packed, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "facts.json").write_text("{}")
    with pytest.raises(InputError, match="mine: holds something other than a page"):
        export_web(load_bundle(bundles["audio"]), tmp_path / "mine")
    assert files_of(tmp_path / "mine") == {"facts.json"}


def test_a_runtime_that_has_changed_is_one_line(bundles, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "CHANGES", {b"somewhere else": b""})
    with pytest.raises(InputError, match="litert.js: without 'somewhere else'"):
        export_web(load_bundle(bundles["audio"]), tmp_path / "page")
    assert not (tmp_path / "page").exists()


@pytest.fixture(scope="module")
def seeing(bundles, models_cache):
    """Models that see too, by name; one takes embeddings of pictures besides."""
    labels = LabelSet.of(["Dog", "Siren"])
    learnt = learnt_models(labels, yamnet, efficientnet_lite0).tagger
    made = {name: load_bundle(bundles[name]) for name in ("audio", "fused")}
    return made | {
        "learnt": Bundle(learnt, labels, [0.5, 0.5], efficientnet_lite0.name, n_frames=2)
    }


@pytest.mark.parametrize("name", ["fused", "learnt"])
def test_the_sound_of_a_model_that_sees_is_heard_too(seeing, monkeypatch, tmp_path, name):
    monkeypatch.setattr(web, "_runtime", dict)  # the test of the folder has it
    check_network(export_web(seeing[name], tmp_path / "page"), seeing[name])


def check_network(folder: pathlib.Path, bundle: Bundle) -> None:
    """Assert that a page's network hears as Keras does, and knows no bool."""
    assert measure_web(folder, bundle).largest_deviation < 1e-4
    interpreter = open_interpreter(1, (folder / MODEL_FILE).read_bytes())
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["n_samples", "waveform"], "outputs": ["clip", "frame"]}
    }
    given = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {each["dtype"].__name__ for each in given} == {"float32", "int32"}


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
    there = {*PAGE_FILES, "litert/litert.js"}
    assert {name.removeprefix("./") for name in named} == there - {"index.html"}


def test_the_page_allows_itself_its_own_files_alone():
    html = page_texts()["index.html"]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'" and "unsafe-inline" not in policy
    assert "<style" not in html and not re.search(r"<script(?![^>]*src=)| on\w+=| style=", html)


def test_a_model_of_pictures_alone_is_one_line(bundles, packed, tmp_path, capsys):
    argv = ["export", str(bundles["video"]), "--format", "web", "--out", str(tmp_path / "page")]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/page: this model hears nothing" in said and said.count("\n") == 1
    assert not (tmp_path / "page").exists()
