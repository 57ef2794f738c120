"""What the source must not do, read from its syntax: unpickle, run text, unpack where it likes."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("mmat", "experiments", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# The restricted reader of the one embedded weights file; it loads four names and no other.
RESTRICTED_READER = ROOT / "mmat/pretrained/torch_legacy.py"
# Each says what comes out of an archive before it does (`mmat.files`).
ARCHIVES = ROOT / "mmat/files.py"
UNPACKERS = {ARCHIVES, ROOT / "mmat/corpora/weights.py", ROOT / "mmat/corpora/speech_emotion.py"}


@pytest.fixture(scope="module")
def trees() -> dict[pathlib.Path, ast.Module]:
    assert len(SOURCES) > 100
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def imported(tree: ast.Module) -> set[str]:
    """Return the names of the packages that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def calls(tree: ast.Module) -> list[tuple[str, dict[str, ast.expr]]]:
    """Return the name and the keywords of each call: `np.load`, `eval`, `archive.extractall`."""
    return [
        (ast.unparse(node.func), {each.arg: each.value for each in node.keywords if each.arg})
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


def test_nothing_is_unpickled_but_by_the_restricted_reader(trees):
    found = {path for path, tree in trees.items() if imported(tree) & UNPICKLERS}
    assert found == {RESTRICTED_READER}
    used = {name for name, _ in calls(trees[RESTRICTED_READER])}
    assert "_TensorUnpickler" in used
    assert not used & {"pickle.load", "pickle.loads", "pickle.Unpickler"}


def test_arrays_are_read_without_pickles(trees):
    loads = [
        (path, keywords.get("allow_pickle"))
        for path, tree in trees.items()
        for name, keywords in calls(tree)
        if name in ("np.load", "numpy.load")
    ]
    assert len(loads) >= 5
    for path, allow in loads:
        assert isinstance(allow, ast.Constant) and allow.value is False, path


def test_no_text_is_run(trees):
    for path, tree in trees.items():
        names = {name for name, _ in calls(tree)}
        assert not names & {"eval", "exec", "compile", "os.system", "yaml.load"}, path
        for name, keywords in calls(tree):
            assert not name.startswith("subprocess.") or "shell" not in keywords, path


def test_archives_are_unpacked_in_three_places(trees):
    unpacking = {
        path
        for path, tree in trees.items()
        for name, _ in calls(tree)
        if name.rsplit(".", 1)[-1] in {"extractall", "extractfile", "unpack_archive", "extract"}
    }
    assert unpacking == UNPACKERS
    for path in unpacking - {ARCHIVES}:
        assert "mmat.files" in path.read_text(encoding="utf-8")


def test_trained_models_are_loaded_in_safe_mode(trees):
    for path, tree in trees.items():
        for name, keywords in calls(tree):
            assert not name.endswith("enable_unsafe_deserialization"), path
            if name.endswith("load_model") and path.is_relative_to(ROOT / "mmat"):
                assert ast.unparse(keywords["safe_mode"]) == "True", path
            assert "safe_mode" not in keywords or ast.unparse(keywords["safe_mode"]) == "True", path
