import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.read import asked_label_set


def test_names_as_a_user_types_them():
    text = " Dog;Train ;Fire engine,  fire truck (siren); "
    assert asked_label_set(text).names == ("Dog", "Train", "Fire engine, fire truck (siren)")
    assert asked_label_set("Dog").names == ("Dog",)
    assert asked_label_set("Car/Truck;").names == ("Car/Truck",)
    assert asked_label_set("Bee, wasp, etc.").names == ("Bee, wasp, etc.",)
    assert len(asked_label_set("dcase2017")) == 17


def test_label_files(tmp_path, monkeypatch):
    labels = LabelSet(("Dog", "Cat, kitten"), synonyms=(("hound",), ()))
    labels.to_csv(tmp_path / "labels.csv")
    assert asked_label_set(str(tmp_path / "labels.csv")) == labels
    (tmp_path / "names.txt").write_text("\ufeffDog\n\n  Cat,  kitten \n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert asked_label_set("names.txt").names == ("Dog", "Cat, kitten")
    assert asked_label_set("./names.txt") == LabelSet.from_lines("names.txt")


@pytest.mark.parametrize("text", ["missing.csv", "labels.TXT", "no/such/file", "./x"])
def test_a_path_that_is_not_there_is_told(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as told:
        asked_label_set(text)
    assert text in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", " ; ;", "Dog;Cat;Dog"])
def test_names_that_are_none_or_twice_are_told(text):
    with pytest.raises(InputError) as told:
        asked_label_set(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"Dog\nDog\n", b"\xff\xfe\x00"])
def test_a_label_file_that_is_wrong_is_told_with_its_name(content, tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"names\.txt") as told:
        asked_label_set(str(path))
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="cannot read"):
        LabelSet.from_lines(tmp_path)


def test_many_names_are_looked_at_once():
    names = [f"label {i}" for i in range(50_000)]
    assert len(LabelSet.of(names)) == 50_000
    with pytest.raises(InputError, match="twice"):
        LabelSet.of([*names, "label 7"])


def test_index():
    labels = LabelSet.from_text("Dog;Cat")
    assert np.array_equal([labels.index(name) for name in labels.names], [0, 1])
    with pytest.raises(InputError, match="unknown label"):
        labels.index("Cow")
