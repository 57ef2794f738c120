"""Labels as they are typed, and the names that pretrained networks know."""

import pytest

import mmat
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.asked import (
    EAR,
    EYE,
    check_commas,
    heard_label_set,
    known_names,
    mappings,
    names_in_one,
    parse_label_set,
)
from mmat.models.name_maps import IMAGE_FLOOR, SOUND_FLOOR
from mmat.pretrained.registry import imagenet_labels, yamnet


def test_names_as_a_user_types_them():
    text = " Dog;Train ;Fire engine,  fire truck (siren); "
    assert parse_label_set(text).names == ("Dog", "Train", "Fire engine, fire truck (siren)")
    assert parse_label_set("Dog").names == ("Dog",)
    assert parse_label_set("Car/Truck;").names == ("Car/Truck",)
    assert parse_label_set("Bee, wasp, etc.").names == ("Bee, wasp, etc.",)
    assert len(parse_label_set("dcase2017")) == 17


def test_label_files(tmp_path, monkeypatch):
    labels = LabelSet(("Dog", "Cat, kitten"), synonyms=(("hound",), ()))
    labels.to_csv(tmp_path / "labels.csv")
    assert parse_label_set(str(tmp_path / "labels.csv")) == labels
    (tmp_path / "names.txt").write_text("\ufeffDog\n\n  Cat,  kitten \n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert parse_label_set("names.txt").names == ("Dog", "Cat, kitten")
    assert parse_label_set("./names.txt") == LabelSet.from_lines("names.txt")
    for name in ("labels", "labels.txt"):  # a CSV by another name
        (tmp_path / name).write_bytes((tmp_path / "labels.csv").read_bytes())
    (tmp_path / "labels.tsv").write_text("display_name\tsynonyms\nDog\thound\nCat, kitten\t\n")
    for name in ("labels", "labels.tsv", "labels.txt"):
        assert parse_label_set(name) == labels
    (tmp_path / "names").write_text("Dog\nCow\n")
    assert parse_label_set("names").names == ("Dog", "Cow")
    assert parse_label_set("names;").names == ("names",)


@pytest.mark.parametrize("text", ["missing.csv", "labels.TXT", "no/such/file", "./x"])
def test_a_path_that_is_not_there_is_reported(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as caught:
        parse_label_set(text)
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", " ; ;", "Dog;Cat;Dog"])
def test_missing_and_repeated_names_are_reported(text):
    with pytest.raises(InputError) as caught:
        parse_label_set(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"Dog\nDog\n", b"\xff\xfe\x00"])
def test_a_label_file_that_is_wrong_is_reported_with_its_name(content, tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"names\.txt") as caught:
        parse_label_set(str(path))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read"):
        LabelSet.from_lines(tmp_path)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("Dog, Cow, Crow", "Dog;Cow;Crow"),
        ("dog,cow", "dog;cow"),
        ("Siren, golden retriever", "Siren;golden retriever"),  # by ear and by eye
        ("Dog, Doorbells", "Dog;Doorbells"),  # near to a name
    ],
)
def test_names_between_commas_are_an_error_that_shows_the_right_way(typed, names):
    with pytest.raises(InputError) as caught:
        parse_label_set(typed)
    assert f'--labels "{names}"' in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="separate them by ';'"):
        mmat.load(labels=typed)


def test_who_separates_names_by_semicolons_means_the_commas():
    assert parse_label_set("Aircraft;Bus, truck").names == ("Aircraft", "Bus, truck")
    assert parse_label_set("Bus, truck;").names == ("Bus, truck",)


def test_known_names_with_commas_stay_one():
    names = [*yamnet.labels(), *map(", ".join, imagenet_labels())]
    assert sum("," in name for name in names) > 500
    assert [name for name in names if names_in_one(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "Fire engine, fire truck (siren)",
        "fire truck, fire engine",  # one thing by two of its names
        "Hail, then a long silence",
        "1,000 Hz",
        "Dog,",
        "Baby cry, infant cry",
    ],
)
def test_one_thing_with_commas_stays_one(name):
    assert names_in_one(name) == ()
    check_commas([name])


def test_without_weights_every_name_is_one(monkeypatch, tmp_path):
    from mmat.models import asked

    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    asked._known.cache_clear()
    try:
        assert names_in_one("Dog, Cow") == ()
    finally:
        asked._known.cache_clear()


def test_audioset_without_its_list_is_what_yamnet_knows(monkeypatch):
    monkeypatch.setattr("mmat.models.asked.audioset_is_fetched", lambda: False)
    with pytest.warns(UserWarning, match="521 names"):
        labels = parse_label_set("audioset")
    assert labels == heard_label_set() and labels.names == yamnet.labels()
    assert labels.mids[labels.index("Dog")] == "/m/0bt9lr"


def test_lists_want_all_of_audioset(monkeypatch, tmp_path):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="run `mmat fetch audioset`"):
        parse_label_set("audioset", all_of_audioset=True)


@pytest.mark.parametrize("text", ["dcase2016", "DCASE2017", "AudioSet", "audioset2"])
def test_a_set_that_is_not_there_is_no_name(text):
    with pytest.raises(InputError, match=f"labels {text}: no such set; there are dcase2017 and "):
        parse_label_set(text)
    assert parse_label_set(f"{text};").names == (text,)


def test_known_names_are_searched_by_ear_and_by_eye():
    every = known_names()
    assert [known.name for known in every if EAR in known.by] == list(yamnet.labels())
    things = {names[0].casefold() for names in imagenet_labels()}
    assert len(every) == len({known.name.casefold() for known in every})
    assert {known.name.casefold() for known in every if EYE in known.by} >= things
    found = {known.name: known.by for known in known_names("DOG")}
    assert EAR in found["Dog"] and found["Maltese dog"] == (EYE,)
    # by a synonym: the second name of the first ImageNet class
    assert [known.name for known in known_names("Tinca tinca")] == ["tench"]
    assert known_names("no such name") == []


def test_a_label_is_mapped_by_name_by_likeness_or_not_at_all():
    dog, bells, tax = mappings(["Dog", "Church bells", "Quarterly tax return"])
    assert dog.heard == (("Dog", 1.0),) and dog.nearest_heard is None
    assert {x for _, x in dog.seen} == {1.0} and len(dog.seen) == 118
    assert bells.heard[0][0] == "Church bell" and SOUND_FLOOR <= bells.heard[0][1] <= 1
    assert list(bells.heard) == sorted(bells.heard, key=lambda near: -near[1])
    assert tax.heard == tax.seen == ()
    assert tax.nearest_heard[1] < SOUND_FLOOR and tax.nearest_seen[1] < IMAGE_FLOOR
