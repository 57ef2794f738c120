import csv
import dataclasses
import hashlib
import shutil

import pytest

from mmat.corpora.debian import download_packages
from mmat.corpora.mini import fetch_mini
from mmat.corpora.sources import (
    COLUMNS,
    SourceFile,
    extract_sources,
    fetch_sources,
    hash_members,
    read_sources,
)
from mmat.files import InputError, data_list
from tests.corpora.archives import make_cat, make_deb, make_rcc, make_wav

DOG, COW, HORN = b"woof" * 99, b"moo" * 99, make_wav(b"toot")
CAT = "usr/share/set.cat"
CONTENTS = {
    "usr/share/Dog.WAV": DOG,
    "usr/share/farm.rcc!farm/cow.webp": COW,
    f"{CAT}!01": HORN,
}


def make_source(kind: str, id: str, package: str, member: str) -> SourceFile:
    return SourceFile(
        kind=kind,
        id=id,
        label="Dog, hound",
        split="train",
        source_group="dog/author",
        package=package,
        version="1.0-2",
        member=member,
        sha256=hashlib.sha256(CONTENTS[member]).hexdigest(),
        license="CC0-1.0",
        credit="Zoë",
    )


SOURCES = [
    make_source("recording", "horn", "trains", f"{CAT}!01"),
    make_source("recording", "dog-1", "animals", "usr/share/Dog.WAV"),
    make_source("photograph", "cow-1", "animals", "usr/share/farm.rcc!farm/cow.webp"),
    make_source("noise", "dog-1", "animals", "usr/share/Dog.WAV"),
]


@pytest.fixture
def debs(tmp_path):
    folder = tmp_path / "debs"
    folder.mkdir()
    animals = {"usr/share/Dog.WAV": DOG, "usr/share/farm.rcc": make_rcc({"farm/cow.webp": COW})}
    (folder / "animals_1.0-2_all.deb").write_bytes(make_deb(animals))
    trains = {CAT: make_cat([make_wav(b"ding"), HORN])}
    (folder / "trains_1.0-2_all.deb").write_bytes(make_deb(trains))
    return folder


def write_list(path, rows, columns=COLUMNS):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_list_is_read_as_it_was_written(tmp_path):
    rows = [dataclasses.asdict(source) for source in SOURCES]
    assert read_sources(write_list(tmp_path / "list.csv", rows)) == SOURCES


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "../dog"}, "line 3: id '../dog'"),
        ({"kind": ""}, "line 3: kind ''"),
        ({"package": "-o=x"}, "line 3: package '-o=x'"),
        ({"member": "/etc/passwd"}, "line 3: member '/etc/passwd'"),
        ({"member": "a.rcc!b!c"}, "line 3: member 'a.rcc!b!c'"),
        ({"member": "a\nb"}, r"line 4: member 'a\\nb'"),
        ({"sha256": "0" * 63}, "line 3: sha256 '0{63}'"),
        ({"id": "horn"}, "line 3: recording/horn.wav stands already in line 2"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, change, reason):
    rows = [dataclasses.asdict(source) for source in SOURCES[:2]]
    rows[1].update(change)
    with pytest.raises(InputError, match=f"list.csv: {reason}"):
        read_sources(write_list(tmp_path / "list.csv", rows))


def test_another_file_than_a_list_is_refused(tmp_path):
    rows = [dataclasses.asdict(source) for source in SOURCES]
    with pytest.raises(InputError, match="header lacks sha256, license"):
        columns = [name for name in COLUMNS if name not in ("sha256", "license")]
        read_sources(write_list(tmp_path / "list.csv", rows, columns))
    with pytest.raises(InputError, match=r"no\.csv: No such file"):
        read_sources(tmp_path / "no.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00kind")
    with pytest.raises(InputError, match=r"binary\.csv: no CSV"):
        read_sources(tmp_path / "binary.csv")


def test_sources_are_extracted_whole(tmp_path, debs):
    out = tmp_path / "out"
    paths = extract_sources(SOURCES, debs, out, progress=False)
    names = ["recording/horn.wav", "recording/dog-1.wav", "photograph/cow-1.webp"]
    assert paths == [out / name for name in [*names, "noise/dog-1.wav"]]
    assert [path.read_bytes() for path in paths] == [HORN, DOG, COW, DOG]
    assert sorted(path for path in out.rglob("*") if path.is_file()) == sorted(paths)


def test_a_second_run_writes_only_what_is_missing_or_wrong(tmp_path, debs):
    horn, dog, cow, _ = extract_sources(SOURCES, debs, tmp_path / "out", progress=False)
    before = horn.stat()
    dog.unlink()
    cow.write_bytes(b"half")
    (debs / "trains_1.0-2_all.deb").unlink()  # nothing of it is needed any more
    extract_sources(SOURCES, debs, tmp_path / "out", progress=False)
    assert (dog.read_bytes(), cow.read_bytes()) == (DOG, COW)
    assert (horn.stat().st_mtime_ns, horn.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_another_version_with_the_same_members_is_fine(tmp_path, debs):
    (debs / "animals_1.0-2_all.deb").rename(debs / "animals_7-1_amd64.deb")
    assert extract_sources(SOURCES, debs, tmp_path / "out", progress=False)


def test_a_member_with_another_sha256_is_refused(tmp_path, debs):
    wrong = dataclasses.replace(SOURCES[2], sha256="0" * 64)
    with pytest.raises(InputError) as raised:
        extract_sources([wrong], debs, tmp_path / "out", progress=False)
    found = hashlib.sha256(COW).hexdigest()
    for part in ("animals", wrong.member, found, "0" * 64):
        assert part in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "member", ["usr/share/cat.wav", "usr/share/farm.rcc!farm/dog.webp", "usr/share/no.rcc!x"]
)
def test_a_member_that_is_not_there_is_refused(tmp_path, debs, member):
    gone = dataclasses.replace(SOURCES[1], member=member)
    with pytest.raises(InputError, match="animals_1.0-2_all.deb: .*: not in this package"):
        extract_sources([gone], debs, tmp_path / "out", progress=False)


def test_a_missing_or_damaged_package_is_named(tmp_path, debs):
    with pytest.raises(InputError, match="package trains: not in .*nowhere"):
        extract_sources(SOURCES, tmp_path / "nowhere", tmp_path / "out", progress=False)
    whole = (debs / "trains_1.0-2_all.deb").read_bytes()
    (debs / "trains_1.0-2_all.deb").write_bytes(whole[:-40])
    with pytest.raises(InputError, match=r"trains_1.0-2_all\.deb: cannot be read"):
        extract_sources(SOURCES, debs, tmp_path / "out", progress=False)


def test_fetched_from_packages_that_are_there(tmp_path, debs, capsys):
    out = tmp_path / "out"
    fetch_sources(SOURCES, out, debs, dry_run=True)
    assert capsys.readouterr().out.splitlines() == [
        f"package trains: 1 files (there already: {debs / 'trains_1.0-2_all.deb'})",
        f"package animals: 3 files (there already: {debs / 'animals_1.0-2_all.deb'})",
        f"4 files to extract into {out}",
        f"about 0 MB to download into {debs}",
    ]
    assert not out.exists()
    fetch_sources(SOURCES, out, debs, progress=False)
    assert (out / "recording" / "dog-1.wav").read_bytes() == DOG
    fetch_sources(SOURCES, out, tmp_path / "nowhere", progress=False)  # all is there


def test_hashes_of_members_remake_the_list(debs):
    hashes = hash_members(debs, [source.member for source in SOURCES])
    assert [hashes[source.member] for source in SOURCES] == [s.sha256 for s in SOURCES]
    with pytest.raises(InputError, match="usr/share/cat.wav: in no package"):
        hash_members(debs, ["usr/share/cat.wav"])


def test_the_dry_run_of_the_mini_corpus_needs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = fetch_mini(tmp_path / "cache", dry_run=True)
    assert folder == tmp_path / "cache" / "mini" / "sources"
    assert list(tmp_path.iterdir()) == []
    sources = read_sources(data_list("mini", "sources.csv"))
    printed = capsys.readouterr().out
    assert f"{len(sources)} files to extract into {folder}" in printed
    for source in sources:
        assert f"package {source.package}: " in printed
    assert "size unknown" not in printed


def test_the_mini_corpus_without_apt_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="openttd-opensfx.* put their .deb files into .*my debs"):
        fetch_mini(tmp_path / "cache", deb_folder=tmp_path / "my debs", progress=False)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get here")
def test_a_real_package_holds_what_the_list_says(tmp_path):
    package = "openttd-opensfx"  # the smallest
    download_packages([package], tmp_path / "debs", progress=False)
    sources = [s for s in read_sources(data_list("mini", "sources.csv")) if s.package == package]
    assert sources
    for path in extract_sources(sources, tmp_path / "debs", tmp_path / "out", progress=False):
        assert path.read_bytes()[8:12] == b"WAVE"
