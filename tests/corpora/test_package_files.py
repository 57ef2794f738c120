import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmat.corpora.package_files import iter_members, read_cat, read_rcc
from mmat.files import InputError
from tests.corpora.archives import COMPRESSORS, make_cat, make_deb, make_rcc, make_wav

PICTURES = {"farm/cow.webp": b"moo" * 50, "farm/dög.png": b"", "zoo/lion.webp": bytes(range(256))}
WAVS = [make_wav(bytes([index]) * (10 + index)) for index in range(12)]
FILES = {
    "usr/share/dog.wav": b"woof" * 100,
    "usr/share/farm.rcc": make_rcc(PICTURES),
    "usr/share/set.cat": make_cat(WAVS),
    "usr/share/readme.txt": b"text",
}


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_members_of_a_package(tmp_path, compression):
    package = tmp_path / "a_1_all.deb"
    package.write_bytes(make_deb(FILES, compression))
    wanted = {
        "usr/share/dog.wav": b"woof" * 100,
        "usr/share/farm.rcc": FILES["usr/share/farm.rcc"],
        "usr/share/farm.rcc!zoo/lion.webp": bytes(range(256)),
        "usr/share/set.cat!11": WAVS[11],
    }
    missing = ["usr/share/cat.wav", "usr/share/farm.rcc!zoo/cow.webp", "usr/share/set.cat!12"]
    assert dict(iter_members(package, [*wanted, *missing])) == wanted


def test_inner_members_of_another_kind_of_file_are_refused(tmp_path):
    package = tmp_path / "a_1_all.deb"
    package.write_bytes(make_deb(FILES))
    with pytest.raises(InputError, match=r"a_1_all\.deb: usr/share/readme\.txt: only"):
        list(iter_members(package, ["usr/share/readme.txt!inner"]))


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("compression", [0, 1])
def test_rcc_round_trip(version, compression):
    content = make_rcc(PICTURES, version, compression)
    assert read_rcc(content, "x.rcc") == PICTURES
    assert read_rcc(content, "x.rcc", ["farm/cow.webp"]) == {"farm/cow.webp": b"moo" * 50}


def test_rcc_of_zstd_or_of_a_newer_version_is_refused():
    with pytest.raises(InputError, match="x.rcc: .* zstd"):
        read_rcc(make_rcc(PICTURES, compression=4), "x.rcc")
    newer = make_rcc(PICTURES)[:7] + b"\4" + make_rcc(PICTURES)[8:]
    with pytest.raises(InputError, match="x.rcc: .* version"):
        read_rcc(newer, "x.rcc")


def test_cat_round_trip():
    assert read_cat(make_cat(WAVS), "x.cat") == {f"{i:02d}": wav for i, wav in enumerate(WAVS)}
    assert read_cat(make_cat(WAVS), "x.cat", ["03"]) == {"03": WAVS[3]}


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """Cut a file short, or change a few of its bytes."""
    if draw(st.booleans()):
        return content[: draw(st.integers(0, len(content) - 1))]
    changed = bytearray(content)
    places = st.integers(0, len(content) - 1)
    for place, value in draw(st.dictionaries(places, st.integers(0, 255), max_size=5)).items():
        changed[place] = value
    return bytes(changed)


@given(damaged(make_rcc(PICTURES)))
@settings(max_examples=300, deadline=None)
def test_a_damaged_rcc_is_read_or_refused_with_its_name(content):
    try:
        read_rcc(content, "x.rcc")
    except InputError as error:
        assert "x.rcc" in str(error) and "\n" not in str(error)


@given(damaged(make_cat(WAVS)))
@settings(max_examples=300, deadline=None)
def test_a_damaged_cat_is_read_or_refused_with_its_name(content):
    try:
        read_cat(content, "x.cat")
    except InputError as error:
        assert "x.cat" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("compression", COMPRESSORS)
@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)
def test_a_damaged_package_is_read_or_refused_with_its_name(tmp_path, compression, data):
    package = tmp_path / "a_1_all.deb"
    package.write_bytes(data.draw(damaged(make_deb(FILES, compression))))
    try:
        list(iter_members(package, FILES))
    except InputError as error:
        assert "a_1_all.deb" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"odd", b"!<arch>\n", b"RIFF" * 20])
def test_what_is_no_container_is_refused(tmp_path, content):
    (tmp_path / "a_1_all.deb").write_bytes(content)
    with pytest.raises(InputError, match="a_1_all.deb: cannot be read as"):
        list(iter_members(tmp_path / "a_1_all.deb", ["x"]))
    for reader in (read_rcc, read_cat):
        with pytest.raises(InputError, match="x: cannot be read as"):
            reader(content, "x")


def test_an_unknown_compression_is_named_on_one_line(tmp_path):
    content = make_deb(FILES).replace(b"data.tar.xz", b"data.tar\nxz")
    (tmp_path / "a_1_all.deb").write_bytes(content)
    with pytest.raises(InputError, match=r"unknown way \(b'\\nxz'\)"):
        list(iter_members(tmp_path / "a_1_all.deb", FILES))
