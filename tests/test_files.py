"""Hostile archives: bombs, and members that lead out of the folder; and the reasons of errors."""

import io
import tarfile
import zipfile

import av
import pytest

from mmat.corpora.package_files import iter_members, read_cat, read_rcc
from mmat.corpora.sources import extract_sources, read_sources
from mmat.files import (
    ArchiveTooLarge,
    Budget,
    Damaged,
    InputError,
    Metered,
    check_zip,
    damage_as_error,
    reason_of,
)
from tests.corpora.archives import COMPRESSORS, make_cat, make_deb, make_rcc, make_wav


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_package_that_unpacks_to_more_than_allowed_is_refused(tmp_path, compression):
    package = tmp_path / "bomb_1_all.deb"
    files = {"filler": bytes(3 << 20), "wanted.wav": b"woof"}
    package.write_bytes(make_deb(files, compression))
    assert dict(iter_members(package, ["wanted.wav"])) == {"wanted.wav": b"woof"}
    with pytest.raises(InputError, match=r"bomb_1_all\.deb: .* more than 1000000 bytes"):
        list(iter_members(package, ["wanted.wav"], max_bytes=1_000_000))


def test_a_sparse_member_counts_with_what_it_unpacks_to(tmp_path):
    """A few bytes that tar reads as a terabyte of zeros."""
    entry = tarfile.TarInfo("./wanted.wav")
    entry.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry)
    header = f"{'data.tar':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(tar.getvalue()):<10}`\n"
    package = tmp_path / "sparse_1_all.deb"
    package.write_bytes(b"!<arch>\n" + header.encode() + tar.getvalue())
    with pytest.raises(InputError, match="sparse_1_all.deb: .* more than 1073741824 bytes"):
        list(iter_members(package, ["wanted.wav"]))


def test_a_collection_that_says_to_unpack_to_gigabytes_is_refused_before_that():
    collection = make_rcc({"a/b": b"x"})
    stated = (1).to_bytes(4, "big") + b"x\x9c"  # the length before zlib's first bytes
    assert stated in collection
    bomb = collection.replace(stated, (0xFFFFFFFF).to_bytes(4, "big") + b"x\x9c")
    with pytest.raises(InputError, match="more than 1073741824 bytes"):
        read_rcc(bomb, "bomb.rcc")


def test_entries_that_lie_over_each_other_count_each(tmp_path):
    """A table of many entries, all of them the same 32 MiB."""
    wav = make_wav(bytes(32 << 20))
    single = make_cat([wav])
    offset, size = 8 * 40, len(wav)
    entry = (offset | 1 << 31).to_bytes(4, "little") + size.to_bytes(4, "little")
    with pytest.raises(InputError, match="more than 1073741824 bytes"):
        read_cat(entry * 40 + single[8:], "bomb.cat")


def test_names_in_a_package_never_become_paths(tmp_path):
    """What is extracted lies where the list's own columns say, whatever the package calls it."""
    (tmp_path / "debs").mkdir()
    member = "../../../outside.wav"
    (tmp_path / "debs" / "evil_1_all.deb").write_bytes(make_deb({member: b"woof"}))
    listing = tmp_path / "sources.csv"
    digest = "3ba3d0e4d6bb3d97d9fe1cbc1d48a5e4e2f2dcbe4a1dc8fdbf76cd0ac1e0c3cc"
    listing.write_text(
        "kind,id,label,split,source_group,package,version,member,sha256,license,credit\n"
        f"recording,dog,Dog,test,dog/x,evil,1,{member},{digest},none,nobody\n"
    )
    with pytest.raises(InputError, match="sha256"):
        extract_sources(read_sources(listing), tmp_path / "debs", tmp_path / "out", progress=False)
    assert {path.name for path in tmp_path.iterdir()} <= {"debs", "sources.csv", "out"}
    assert not list(tmp_path.parent.glob("outside*"))


@pytest.mark.parametrize("member", ["../outside", "/outside", "a/../../outside", "c:\\outside"])
def test_a_zip_that_leads_out_is_refused(member):
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        archive.writestr(member, "x")
        with pytest.raises(InputError, match="bad.zip: member .* leads out of the folder"):
            check_zip(archive, "bad.zip")


def odd(name="a", **fields):
    """A member's entry in a zip file's table."""
    entry = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([odd(external_attr=0o120777 << 16)], "member 'a' is a link or a device"),
        ([odd(external_attr=0o010666 << 16)], "member 'a' is a link or a device"),
        ([odd(flag_bits=0x1)], "member 'a' is encrypted"),
        ([odd(compress_type=99)], "member 'a' is packed in an unknown way"),
        ([odd("a/b"), odd("a/b")], "member 'a/b' is there twice"),
        ([odd("a/./b"), odd("a/b")], "member 'a/b' is there twice"),
        ([odd("a"), odd("a/b")], "member 'a/b' is there twice"),
        ([odd("a/b"), odd("a")], "member 'a' is there twice"),
        ([odd("b" * 256)], "has no name that a file can have"),
        ([odd("")], "member '' has no name that a file can have"),
        ([odd("a\nb/..")], r"member 'a\\nb/\.\.' leads out"),
    ],
)
def test_a_zip_of_odd_members_is_refused_in_one_line(members, reason):
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        archive.filelist += members
        with pytest.raises(InputError, match=f"^odd.zip: .*{reason}.*refused$") as error:
            check_zip(archive, "odd.zip")
        archive.filelist.clear()
    assert "\n" not in str(error.value)


def test_a_zip_of_plain_members_and_their_folders_passes():
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        archive.writestr(odd("a/", external_attr=0o040755 << 16), "")
        for member in ("a/b", "a/c/d", "e"):
            archive.writestr(member, "x")
        check_zip(archive, "plain.zip")


def test_a_zip_of_too_many_members_or_bytes_is_refused():
    with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"{i}", bytes(1000))
        check_zip(archive, "a.zip", max_files=5, max_bytes=5000)
        with pytest.raises(InputError, match="a.zip: it holds more than 4 files unpacked; refused"):
            check_zip(archive, "a.zip", max_files=4)
        with pytest.raises(InputError, match="a.zip: it holds more than 4999 bytes unpacked"):
            check_zip(archive, "a.zip", max_bytes=4999)


def test_a_metered_stream_ends_a_bomb():
    assert Metered(io.BytesIO(bytes(10)), max_bytes=10).read() == bytes(10)
    with pytest.raises(ArchiveTooLarge):
        Metered(io.BytesIO(bytes(11)), max_bytes=10).read()


def test_negative_sizes_buy_nothing():
    budget = Budget(max_bytes=10)
    budget.spend(-100)
    with pytest.raises(ArchiveTooLarge):
        budget.spend(11)


def test_the_reason_of_an_error_lacks_its_number_and_path(tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "no.wav").read_bytes()
    assert reason_of(missing.value) == "No such file or directory"
    (tmp_path / "a.wav").write_bytes(b"no sound at all")
    with pytest.raises(av.error.FFmpegError) as refused:
        av.open(str(tmp_path / "a.wav"))
    assert reason_of(refused.value) == "Invalid data found when processing input"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no\n  number"), "no number"),
        (OSError("of one text"), "of one text"),
        (OSError(1, ValueError("as\tdamaged")), "as damaged"),
        (Damaged(" \n"), "Damaged"),
        (EOFError(), "EOFError"),
    ],
)
def test_the_reason_of_any_error_is_a_line(error, reason):
    assert reason_of(error) == reason
    with pytest.raises(InputError) as told, damage_as_error("a.zip", "a zip file"):
        raise error
    assert f"a.zip: cannot be read as a zip file: {reason}; remove" in str(told.value)
