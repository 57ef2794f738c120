"""Labels as they are typed, and the tagger that they choose."""

import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.app.taggers import (
    EXAMPLE,
    TYPED,
    TYPED_SPEC,
    Taggers,
    names_of,
    offered_names,
    parse_labels,
)
from mmat.files import InputError
from mmat.models.asked import known_names

pytest_plugins = ["tests.export.tiny"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are none; type some"),
        (" ; ;", "there are none; type some"),
        (";".join(map(str, range(51))), "51 of them; ask for 50 at most"),
        ("x" * 101, "x… has 101 letters, 100 are the most"),
        (["Rain", "Dog, Cow, Crow"], "Dog, Cow, Crow are 3 names; type them one by one"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(text, words, models_cache):
    with pytest.raises(InputError, match=words):
        parse_labels(text)


@given(st.text(alphabet="ab; \n", max_size=40))
def test_each_label_comes_once_and_in_order(text):
    try:
        labels = parse_labels(text)
    except InputError:
        assert not text.strip("; \n\t")
        return
    assert labels == tuple(dict.fromkeys(labels)) == parse_labels(";".join(labels))
    assert all(label and ";" not in label and label == label.strip() for label in labels)


def test_any_labels_have_their_tagger_and_no_name_is_read_as_a_file(models_cache, tmp_path):
    taggers = Taggers()
    assert taggers.names == (TYPED,) and taggers.chosen == TYPED
    first = taggers.get(TYPED, EXAMPLE)
    assert (
        first.labels == parse_labels(EXAMPLE)
        and taggers.get(TYPED, ";".join(EXAMPLE) + ";;") is first
    )
    assert first.window_spec == TYPED_SPEC and taggers.specs == {TYPED_SPEC}
    path = tmp_path / "labels.csv"
    path.write_text("index,mid,display_name\n0,,Dog\n")
    assert taggers.get(TYPED, str(path)).labels == (str(path),)


def test_exports_are_chosen_by_name_whatever_is_typed(exports, models_cache):
    taggers = Taggers([exports["fused"], exports["audio"]])
    assert taggers.names == (TYPED, "fused", "audio") and taggers.chosen == "fused"
    fused, audio = taggers.get("fused", ""), taggers.get("audio", "Frog")
    assert taggers.specs == {TYPED_SPEC, fused.window_spec, audio.window_spec}
    assert fused.n_frames == 2 and not audio.n_frames
    assert taggers.get("fused", "Frog") is fused
    assert taggers.get(TYPED, "Frog").labels == ("Frog",)
    with pytest.raises(InputError, match="tagger: none is chosen"):
        taggers.get(None, "Frog")


def test_names_are_as_long_as_it_takes_to_tell_folders_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = ["a/x/export", "b/x/export", "small", "small/export", "./small/", TYPED, "/export"]
    assert names_of(folders) == {
        "a/x": "a/x/export",
        "b/x": "b/x/export",
        "small": "./small/",
        "small/export": "small/export",
        f"{tmp_path.name}/{TYPED}": TYPED,
        "/export": "/export",
    }


def test_the_card_in_a_litert_file_names_it(tmp_path):
    file = tmp_path / "a.tflite"
    file.write_bytes(b"the network")
    assert list(names_of([file])) == ["a.tflite"]
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("README.md", "# Birds\n")
    assert list(names_of([file])) == ["Birds"]


def test_a_card_names_its_model(tmp_path):
    titles = {"a": "# Birds of the garden \n", "b": "# Same", "c": "# Same\n", "d": "no heading"}
    titles |= {"e": "# An audio tagger made with mmat\n", "f": f"# {TYPED}\n", "g": "# " + "x" * 90}
    for name, text in titles.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(text)
    named = names_of(tmp_path / name for name in [*titles, "h"])
    assert list(named) == [
        "Birds of the garden",
        "Same (b)",
        "Same (c)",
        "d",
        "e",
        f"{TYPED} (f)",
        "x" * 60,
        "h",
    ]


@given(st.lists(st.lists(st.sampled_from(["a", "export"]), min_size=1, max_size=4), max_size=6))
def test_each_folder_has_a_name_of_its_own(paths):
    folders = {"/" + "/".join(path) for path in paths}
    named = names_of(folders)
    assert set(named.values()) == folders
    assert all(f"/{name.strip('/')}/" in folder + "/" for name, folder in named.items())


def test_the_names_that_are_offered_are_those_that_are_known(models_cache):
    assert list(offered_names()) == [known.name for known in known_names()]


def test_without_weights_no_names_are_offered(monkeypatch, tmp_path):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    assert offered_names() == ()
